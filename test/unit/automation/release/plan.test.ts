import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import stringWidth from 'string-width';
import { releaseDefinition } from '../../../../automation/config/schema.ts';
import { lastDurations } from '../../../../automation/journal/history.ts';
import { openJournal } from '../../../../automation/journal/journal.ts';
import { stageIds } from '../../../../automation/journal/events.ts';
import type { ReleaseSettings } from '../../../../automation/release/context/context.ts';
import type { Span, Stage, Step } from '../../../../automation/release/context/stage.ts';
import { runRelease } from '../../../../automation/release/run.ts';
import { planRelease } from '../../../../automation/release/plan.ts';
import { renderPlan } from '../../../../automation/ui/plan.ts';
import type { Release } from '../../../../automation/release/context/release.ts';
import { stagesFor } from '../../../../automation/release/stages/index.ts';
import { createAwsPlatform } from '../../../../infra/aws/platform.ts';
import { createLocalPlatform } from '../../../../infra/local/platform.ts';
import { releasesDirectory } from '../../../../infra/lib/paths.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';
import { settings } from '../../../lib/declared.ts';
import { eachWithOwnHome } from '../../../lib/own-home.ts';

const definition = releaseDefinition.parse(validDefinition());
const artefact = { version: '1.0.0', digest: '', location: '' };
const platforms = {
  local: createLocalPlatform(),
  aws: createAwsPlatform({ settingsOf: () => settings }),
};
const releases = {
  'go-live': { kind: 'go-live', environment: 'production' },
  release: { kind: 'release', environment: 'production', from: { colour: 'blue', version: '1.0.0', artefact } },
  rehearsal: { kind: 'rehearsal', environment: 'staging', from: { colour: 'blue', version: '1.0.0', artefact } },
} as const;

const releaseOf = (kind: keyof typeof releases, platform: keyof typeof platforms = 'local'): Release => ({
  ...releases[kind],
  definition,
  platform: platforms[platform],
  to: { colour: 'green', version: '2.0.0' },
});

function plan(platform: 'local' | 'aws', columns?: number): string {
  const { noEstimate } = platforms[platform];
  const planned = planRelease(stagesFor(releaseOf('release', platform)), platforms[platform], new Map());
  return renderPlan(planned, 'Release of 2.0.0', { columns, noEstimate });
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
      .to.match(/they wait at the balancer.*at most 2000 ms/)
      .and.to.match(/take blue down$/m);
    expect(plan('aws'))
      .to.match(/503 with Retry-After.*at most 32000 ms/)
      .and.to.include('take blue down, all but its database');
  });

  it('says where writes are refused, that the new version starts there, and that nothing goes back', () => {
    const valid = validDefinition();
    const application = {
      ...valid.application,
      migrations: {
        directory: 'migrations',
        incompatible: { files: ['006_one_name.sql'], readOnlyWindow: { longestSeconds: 60 } },
      },
    };
    const instances = { production: { instances: { api: 2 } } };
    const windowed = releaseDefinition.parse({ ...valid, application, canary: { steps: [] }, environments: instances });
    const stages = stagesFor({ ...releaseOf('release'), definition: windowed });
    const planned = planRelease(stages, platforms.local, new Map());
    const of = (id: string) => planned.find((stage) => stage.id === id)!;
    const gates = (id: string) => of(id).gates.map((gate) => gate.id);
    const steps = (id: string) => of(id).steps.join('\n');
    expect(steps('cutover'))
      .to.match(/read-only window of at most 60 s: users can read, and writes are answered 503/)
      .and.to.match(/no way back without a loss/)
      .and.to.match(/start the new version on green/);
    expect(gates('cutover')).to.deep.equal(['data-comparison', 'smoke']);
    expect(gates('prepare')).to.deep.equal(['sync', 'alerts']);
    expect(steps('prepare'))
      .to.match(/start 1\.0\.0 on green, to which no traffic goes, prove the alerts there, stop it again/)
      .and.not.match(/start 2\.0\.0 on green/);
    expect(steps('canary')).to.match(/no canary, as 2\.0\.0 starts in the read-only window/);
    expect(steps('bake'))
      .to.match(/nothing goes back by itself/)
      .and.not.match(/roll back by itself/);
    expect(gates('bake')).to.include.members(['way-back', 'user-journey']);
    expect(steps('cleanup')).not.to.match(/end the replication back/);
  });

  it('says that a major upgrade goes by rows, tries the schema first, and computes statistics before traffic', () => {
    const upgrade = { ...releaseOf('release'), postgres: { from: 15, to: 17 } } as Release;
    const said = renderPlan(planRelease(stagesFor(upgrade), platforms.local, new Map()), 'Release', { columns: 400 });
    expect(said)
      .to.include('see that PostgreSQL 17 takes the schema of blue, which has 15')
      .and.to.include('major upgrade of PostgreSQL, 15 to 17, so by rows: copy the schema')
      .and.not.to.include('physical copy');
    expect(said.indexOf("compute the planner's statistics")).to.be.lessThan(said.indexOf('start 2.0.0 on green'));
    const same = { ...upgrade, postgres: { from: 17, to: 17 } } as Release;
    expect(renderPlan(planRelease(stagesFor(same), platforms.local, new Map()), 'Release', { columns: 400 }))
      .to.include('physical copy')
      .and.not.to.include('upgrade');
  });

  it('is never wider than the window', () => {
    const lines = plan('aws', 60).split('\n');
    expect(Math.max(...lines.map((line) => stringWidth(line)))).to.be.lessThan(60);
  });
});

describe('a run of a release', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'greenlight-plan-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  /** The stages with their own steps, which change nothing and say when they are done. */
  const rehearsed = (stages: readonly Stage[], did: (says: string) => void): Stage[] => {
    const leaf = (step: Step<never>): Step => ({
      ...step,
      when: () => true,
      do: () => Promise.resolve(did(step.says)),
    });
    return stages.map(({ verify: _, ...stage }) => ({
      ...stage,
      steps: stage.steps.map((step) => {
        if (!('around' in step)) return leaf(step);
        const around: Span['around'] = (_context, work) => {
          did(step.says);
          return work(undefined as never);
        };
        return { ...step, around, steps: step.steps.map(leaf) };
      }),
    }));
  };

  for (const kind of ['go-live', 'release', 'rehearsal'] as const)
    it(`does what the plan of a ${kind} says, announces it, and does nothing else`, async () => {
      const [said, did]: string[][] = [[], []];
      const journal = openJournal(directory);
      const settings = {
        ...releaseOf(kind),
        id: 'r',
        directory,
        journal,
        definition: { ...definition, announcements: {} },
        signal: new AbortController().signal,
        waiting: (text: string) => said?.push(text),
      } as unknown as ReleaseSettings;
      const stages = stagesFor(settings);
      const outcome = await runRelease(
        settings,
        rehearsed(stages, (says) => did?.push(says)),
      );
      journal.close();
      expect(outcome.verdict).to.equal('go');
      const planned = planRelease(stages, {}, new Map()).flatMap(({ steps }) => steps);
      // What a step includes is of its own procedure.
      const steps = planned.filter((line) => !line.startsWith(' '));
      expect(did).to.deep.equal(steps);
      expect(said).to.deep.equal(steps);
      expect(stages.map(({ id }) => id)).to.deep.equal(stageIds);
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
