import { join } from 'node:path';
import { expect } from 'chai';
import { unfinishedRelease } from '../../../../automation/journal/history.ts';
import { openJournal } from '../../../../automation/journal/journal.ts';
import { end } from '../../../../automation/release/run.ts';
import { releasesDirectory } from '../../../../infra/lib/paths.ts';
import { eachWithOwnHome } from '../../../lib/own-home.ts';

describe('an unfinished release', () => {
  eachWithOwnHome();

  const id = '20260101-000000-2.0.0';
  const begun = () => {
    const journal = openJournal(join(releasesDirectory('production'), id));
    journal.append({
      type: 'release.started',
      release: id,
      kind: 'release',
      application: 'shop',
      environment: 'production',
      platform: 'aws',
      to: { colour: 'green', version: '2.0.0' },
      stages: [],
      gates: [],
    } as unknown as Parameters<typeof journal.append>[0]);
    return journal;
  };

  it('is found until it has ended', () => {
    const journal = begun();
    expect(unfinishedRelease('production', { platform: 'aws', application: { name: 'shop' } })?.id).to.equal(id);
    end({ journal }, { verdict: 'aborted', reason: 'production was destroyed' });
    journal.close();
    expect(unfinishedRelease('production', { platform: 'aws', application: { name: 'shop' } })).to.equal(undefined);
  });

  it('is not touched by a command for another platform or application', () => {
    begun().close();
    for (const other of [
      { platform: 'local' as const, application: { name: 'shop' } },
      { platform: 'aws' as const, application: { name: 'forum' } },
    ])
      expect(() => unfinishedRelease('production', other)).to.throw(
        /of shop on the platform aws is not finished[^]*npm run resume -- --platform aws/,
      );
  });
});
