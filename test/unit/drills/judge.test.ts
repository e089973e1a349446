import { expect } from 'chai';
import { plantedFaults } from '../../drills/planted-faults.ts';
import { judge, type Outcome } from '../../drills/judge.ts';
import type { Scenario } from '../../drills/scenario.ts';
import { everyScenario, scenarios } from '../../drills/scenarios.ts';
import { line, table } from '../../drills/table.ts';
import type { World } from '../../drills/world.ts';

const scenario: Scenario = {
  name: 'load',
  fault: 'slow',
  expect: { exitCode: 2, verdict: 'no-go', stage: 'staging', gate: 'load' },
  felt: 'nothing',
};
const world: World = {
  live: { colour: 'blue', version: '1.0.0' },
  split: { live: 'blue', percent: 0 },
  holdMs: 0,
  answered: { version: '1.0.0', write: 201 },
  pids: { 'api.blue.1': 7, balancer: 8 },
  idleColourUp: false,
  replication: [],
  locks: [],
  strays: [],
};
const gate = { title: '', measurements: [], evidence: [], ms: 1, observationMs: 0, measured: '', wanted: '' };
const row = { title: '', expectedMs: 0, observationMs: 0, undone: [], reason: null };
const report = {
  verdict: 'no-go',
  reason: 'Load test: fail',
  startedAt: '2030-01-01T00:00:00.000Z',
  stages: [
    { ...row, id: 'build', verdict: 'pass', startedAt: '2030-01-01T00:00:00.000Z', ms: 5_000 },
    { ...row, id: 'staging', verdict: 'fail', startedAt: '2030-01-01T00:00:10.000Z', ms: 50_000 },
  ],
  gates: [
    { ...gate, id: 'tls', verdict: 'fail', stage: 'staging', at: '2030-01-01T00:00:20.000Z' },
    { ...gate, id: 'load', verdict: 'fail', stage: 'staging', at: '2030-01-01T00:00:32.500Z' },
  ],
  requests: { total: 100, failed: 0 },
  writes: { acknowledged: 10, lost: 0, duplicated: 0, unknown: 0 },
  hold: { maxMs: null, unmeasured: 0 },
  data: { comparisons: [] },
  peakMemoryMb: 210,
} as unknown as Outcome['report'];
const outcome: Outcome = {
  exitCode: 2,
  report,
  before: world,
  after: world,
  version: '2.0.0',
  checks: [],
  seconds: 60,
};
const failed = (other: Partial<Outcome>, of: Scenario = scenario): string[] =>
  judge(of, { ...outcome, ...other })
    .checks.filter(({ ok }) => !ok)
    .map(({ what }) => what.split(':')[0] ?? '');

describe('drills: what is as expected', () => {
  it('a fault that its own gate caught, and the time until then', () => {
    const result = judge(scenario, outcome);
    expect(result).to.include({ ok: true, caughtBy: 'load', caughtAfter: 32.5, caughtInStageAfter: 22.5 });
  });

  it('not: another gate, another verdict, another exit code', () => {
    expect(failed({}, { ...scenario, expect: { ...scenario.expect, gate: 'capacity' } })).to.deep.equal(['caught by']);
    expect(failed({ exitCode: 1 })).to.deep.equal(['exit code']);
    expect(failed({ report: { ...report, verdict: 'go' } })).to.deep.equal(['verdict']);
  });

  it('not: a live colour that was touched, or something left behind', () => {
    expect(failed({ after: { ...world, pids: { ...world.pids, 'api.blue.1': 9 } } })).to.deep.equal([
      'processes of the live colour and the balancer',
    ]);
    expect(failed({ after: { ...world, replication: ['slot x'] } })).to.deep.equal([
      'replication left on the live database',
    ]);
    expect(failed({ after: { ...world, answered: { version: '1.0.0', write: 503 } } })).to.deep.equal([
      'a write by the entry point',
    ]);
  });

  it('not: users who felt something that they must not', () => {
    const lossy = { ...report, writes: { ...report.writes, lost: 1 } };
    expect(failed({ report: lossy })).to.deep.equal(['lost writes']);
    expect(failed({ report: lossy }, { ...scenario, felt: 'lost writes' })).to.deep.equal([]);
    expect(failed({ report: { ...report, requests: { ...report.requests, failed: 3 } } })).to.deep.equal([
      'failed requests',
    ]);
  });

  it('a release that is resumed moves on: another colour, the new version', () => {
    const go: Scenario = { ...scenario, expect: { exitCode: 0, verdict: 'go', stage: 'bake' } };
    const after: World = {
      ...world,
      live: { colour: 'green', version: '2.0.0' },
      split: { live: 'green', percent: 0 },
      answered: { version: '2.0.0', write: 201 },
    };
    expect(failed({ exitCode: 0, report: { ...report, verdict: 'go' }, after }, go)).to.deep.equal([]);
    expect(failed({ exitCode: 0, report: { ...report, verdict: 'go' } }, go)).to.deep.equal(['live']);
  });

  it('the table says what users felt', () => {
    expect(table([judge(scenario, outcome)])).to.contain('0 of 100 requests failed');
  });

  it('what a release of many rows costs is printed, and of few not', () => {
    const compared = (rows: number) => [{ tables: [{ rows: { left: rows } }, { rows: { left: 1 } }] }];
    const printed = (rows: number) => {
      const of = { ...report, data: { comparisons: compared(rows) } } as unknown as Outcome['report'];
      const at = Date.parse('2030-01-01T00:00:11.000Z');
      const memory = [180, 190].map((megabytes, i) => ({ at: at + i, megabytes }));
      return line(judge(scenario, { ...outcome, report: of, memory })).join('\n');
    };
    expect(printed(200_000)).to.include(
      '200001 rows compared; memory of the program 210 MB at most; build 5 s, staging 50 s 190 MB, undo 0 s',
    );
    expect(printed(300)).not.to.include('rows compared');
  });

  it('every drill has a name of its own, and its planted fault exists', () => {
    const names = everyScenario.map(({ name }) => name);
    expect(new Set(names).size).to.equal(names.length);
    const planted = scenarios.flatMap((one) => one.planted ?? []);
    expect(planted.filter((name) => plantedFaults[name] === undefined)).to.deep.equal([]);
    expect(new Set(planted)).to.deep.equal(new Set(Object.keys(plantedFaults)));
  });
});
