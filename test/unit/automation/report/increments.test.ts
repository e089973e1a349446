import { expect } from 'chai';
import { buildReport } from '../../../../automation/report/model/build.ts';
import { renderHtml } from '../../../../automation/report/html/page.ts';
import type { WriteLedger } from '../../../../automation/journal/events.ts';
import { happeningsOf } from '../../../../automation/ui/happenings.ts';
import { journalOf } from '../../../lib/journals.ts';

describe('increments in what is told of a release', () => {
  const writes: WriteLedger = { acknowledged: 200, lost: 16, duplicated: 0, unknown: 1 };
  const told = (more: Partial<WriteLedger>): { page: string; log: string } => {
    const entries = journalOf('go').map((entry) =>
      entry.type === 'synthetic.ended' ? { ...entry, writes: { ...writes, ...more } } : entry,
    );
    const settled = entries.findLast((entry) => entry.type === 'synthetic.ended');
    if (settled === undefined) throw new Error('the journal has no ledger');
    const log = happeningsOf(settled, () => '')
      .map(({ text }) => text)
      .join('\n');
    return { page: renderHtml(buildReport(entries)).replaceAll(/\s+/g, ' '), log };
  };

  it('are told of where some are lost, with how many there were', () => {
    const { page, log } = told({ increments: 100, incrementsLost: 16, incrementsDoubled: 2 });
    expect(page).to.include('100 incremented a row that other writes increment too: 16 are lost, 2 were made twice.');
    expect(log).to.match(/^✕ .*16 of 200 writes, 16 of 100 increments lost/);
  });

  it('are said not to have been looked up where that is so, and not mentioned where there are none', () => {
    const { page, log } = told({ increments: 100 });
    expect(page).to.include('they were not looked up');
    expect(log).to.include('an unknown number of 100 increments lost');
    const none = told({});
    expect(`${none.page}${none.log}`).not.to.include('increment');
  });
});
