import { expect } from 'chai';
import type { Event } from '../../../../automation/journal/events.ts';
import { buildReport } from '../../../../automation/report/model/build.ts';
import { renderHtml } from '../../../../automation/report/html/page.ts';
import { happeningsOf } from '../../../../automation/ui/happenings.ts';
import { renderSummary } from '../../../../automation/ui/summary.ts';
import { painter } from '../../../../automation/ui/text.ts';
import { journalOf } from '../../../lib/journals.ts';

describe('refused writes in what is told of a release', () => {
  const told = (refused?: number) => {
    const entries = journalOf('go').map((entry) =>
      entry.type === 'synthetic.ended' && refused !== undefined
        ? { ...entry, requests: { ...entry.requests, refused } }
        : entry,
    );
    const model = buildReport(entries);
    return {
      model,
      page: renderHtml(model).replaceAll(/\s+/g, ' '),
      summary: renderSummary(model, 'report.html', painter(false)).join('\n'),
      log: entries.flatMap((entry) => happeningsOf(entry, () => '')).map(({ text }) => text),
    };
  };
  const words = '7 writes refused in the read-only window, as announced';

  it('are named beside the failed requests, in the report, the last lines and the log', () => {
    const { model, page, summary, log } = told(7);
    expect(model.requests).to.include({ failed: 0, refused: 7 });
    expect(page).to.match(new RegExp(`Synthetic clients sent [^.]*; 0 failed; ${words}`));
    expect(model.checklist.find(({ id }) => id === 'downtime')).to.have.property('verdict', 'pass');
    expect(JSON.stringify(model.checklist)).to.include(words);
    expect(summary).to.match(new RegExp(`refused writes +${words}`));
    expect(log.find((text) => text.includes('clients: '))).to.match(
      new RegExp(`^✓ clients: 0 of .* failed, ${words};`),
    );
  });

  it('are not mentioned where there are none', () => {
    const { page, summary, log } = told();
    expect([page, summary, log.join('\n')].filter((text) => text.includes('refused'))).to.deep.equal([]);
  });

  it('have a mark in the charts, where they began', () => {
    const entries = journalOf('go');
    const [first] = entries;
    if (first === undefined) throw new Error('the journal is empty');
    const from = Date.parse(first.at) + 5;
    const events: Event[] = [
      { type: 'writes.refused', from },
      { type: 'writes.refused', from, to: from + 9 },
    ];
    const more = events.map((event) => ({ ...event, seq: 1, at: first.at, prev: '' }));
    const marks = buildReport([first, ...more, ...entries.slice(1)]).marks;
    expect(marks.filter(({ label }) => label === 'read only')).to.deep.equal([{ at: from, label: 'read only' }]);
  });

  it('are announced when they begin, and their time is told when they end', () => {
    const say = (event: Event) =>
      happeningsOf({ ...event, seq: 1, at: '2026-11-30T12:00:00.000Z', prev: '' }, () => '').map(({ text }) => text);
    const from = Date.parse('2026-11-30T12:00:00.000Z');
    expect(say({ type: 'writes.refused', from })).to.deep.equal([
      'read-only window: writes are answered 503 from now on, and users can read',
    ]);
    expect(say({ type: 'writes.refused', from, to: from + 12_000 })).to.deep.equal([
      'read-only window: writes were refused for 12 s',
    ]);
  });
});
