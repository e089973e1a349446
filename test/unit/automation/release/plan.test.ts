import { join } from 'node:path';
import { expect } from 'chai';
import stringWidth from 'string-width';
import { releaseDefinition } from '../../../../automation/config/schema.ts';
import { lastDurations } from '../../../../automation/journal/history.ts';
import { openJournal } from '../../../../automation/journal/journal.ts';
import { planRelease } from '../../../../automation/release/plan.ts';
import { renderPlan } from '../../../../automation/ui/plan.ts';
import { stages } from '../../../../automation/release/stages/index.ts';
import { releasesDirectory } from '../../../../infra/lib/paths.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';
import { eachWithOwnHome } from '../../../lib/own-home.ts';

const local = releaseDefinition.parse(validDefinition());

function plan(platform: 'local' | 'aws', columns?: number): string {
  const from = { colour: 'blue', version: '1.0.0' };
  const to = { colour: 'green', version: '2.0.0' };
  const input = { kind: 'release' as const, definition: { ...local, platform }, from, to };
  return renderPlan(planRelease(stages, input, new Map()), 'Release of 2.0.0', columns);
}

describe('the plan of a release', () => {
  it('has estimates of one machine for one machine alone', () => {
    expect(plan('local'))
      .to.match(/Preflight \(about \d+ s\)/)
      .and.to.match(/Expected: about \d+ minutes/);
    expect(plan('aws'))
      .to.match(/Preflight$/m)
      .and.not.to.match(/\(about \d+ s\)/);
    expect(plan('aws')).to.include('5 to 15 minutes').and.to.include('Nothing was changed');
  });

  it('says what is different on AWS', () => {
    expect(plan('local'))
      .to.include('hold writes (at most 2000 ms)')
      .and.to.match(/take blue down$/m);
    expect(plan('aws')).to.include('503 with Retry-After').and.to.include('take blue down, all but its database');
  });

  it('is never wider than the window', () => {
    const lines = plan('aws', 60).split('\n');
    expect(Math.max(...lines.map((line) => stringWidth(line)))).to.be.lessThan(60);
  });
});

describe('how long a release took the last time', () => {
  eachWithOwnHome();

  it('says nothing about another platform', () => {
    const journal = openJournal(join(releasesDirectory('production'), '20260101-000000-2.0.0'));
    for (const entry of [
      { type: 'release.started', release: 'r', kind: 'release', platform: 'local', stages: [], gates: [] },
      { type: 'stage.ended', stage: 'build', verdict: 'pass', ms: 7000, observationMs: 0 },
      { type: 'release.ended', verdict: 'go', reason: '' },
    ])
      journal.append(entry as unknown as Parameters<typeof journal.append>[0]);
    journal.close();
    expect(lastDurations('production', 'release', 'local')).to.deep.equal(new Map([['build', 7000]]));
    expect(lastDurations('production', 'release', 'aws')).to.deep.equal(new Map());
  });
});
