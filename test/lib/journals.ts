import { createHash } from 'node:crypto';
import type { Colour } from '../../infra/model.ts';
import type { GateResult, Verdict } from '../../automation/journal/verdict.ts';
import type {
  Event,
  JournalEntry,
  ObservedTraffic,
  StageId,
  TableComparison,
} from '../../automation/journal/events.ts';

/**
 * Journals as a release writes them, made up second by second from one start: the outcomes that a report has to tell.
 * Deterministic: the same outcome gives the same entries.
 */
export type Outcome = 'go' | 'rolled-back' | 'no-go' | 'unfinished' | 'aborted';

const stages: { id: StageId; title: string; expectedMs: number }[] = [
  { id: 'preflight', title: 'Preflight', expectedMs: 3_000 },
  { id: 'build', title: 'Build and test', expectedMs: 25_000 },
  { id: 'staging', title: 'Rehearsal in staging', expectedMs: 150_000 },
  { id: 'backup', title: 'Backup and restore', expectedMs: 15_000 },
  { id: 'prepare', title: 'Prepare the new colour', expectedMs: 30_000 },
  { id: 'approval', title: 'Approval', expectedMs: 0 },
  { id: 'canary', title: 'Canary', expectedMs: 45_000 },
  { id: 'cutover', title: 'Cutover', expectedMs: 3_000 },
  { id: 'bake', title: 'Bake time', expectedMs: 30_000 },
  { id: 'cleanup', title: 'Clean-up', expectedMs: 5_000 },
];

const gates: [StageId, string, string][] = [
  ['build', 'unit-tests', 'Unit tests'],
  ['build', 'integration-tests', 'Integration tests'],
  ['staging', 'acceptance', 'User acceptance tests'],
  ['staging', 'load', 'Load test'],
  ['staging', 'capacity', 'Capacity'],
  ['staging', 'security-scan', 'Security scan'],
  ['staging', 'tls', 'Encryption in transit'],
  ['staging', 'authentication', 'User authentication'],
  ['staging', 'policies', 'Compliance and privacy'],
  ['backup', 'backup-restore', 'Backup restored and compared'],
  ['backup', 'migration-rehearsal', 'Migrations rehearsed on real data'],
  ['backup', 'compatibility', 'Old version on the new schema'],
  ['prepare', 'sync', 'Replication to the inactive colour'],
  ['prepare', 'smoke', 'Smoke tests'],
  ['prepare', 'alerts', 'Alerts reach their receivers'],
  ['bake', 'user-journey', 'Requests and writes during the release'],
];

class Recorder {
  readonly entries: JournalEntry[] = [];
  now = Date.parse('2026-11-20T22:00:00.000Z');
  #prev = '0'.repeat(64);

  add(event: Event, tookMs = 5): void {
    this.now += tookMs;
    const head = { seq: this.entries.length + 1, at: new Date(this.now).toISOString(), prev: this.#prev };
    const line = JSON.stringify({ ...head, ...event });
    this.#prev = createHash('sha256').update(line).digest('hex');
    this.entries.push(JSON.parse(line) as JournalEntry);
  }
}

export function journalOf(outcome: Outcome): JournalEntry[] {
  const r = new Recorder();
  const began = r.now;
  start(r);
  const ended = new Set<StageId>();
  let observed = 0;
  const stage = (id: StageId, run: () => Verdict): boolean => {
    r.add({ type: 'stage.started', stage: id });
    const from = r.now;
    const verdict = run();
    const reason = verdict === 'pass' ? {} : { reason: `stopped at ${id}` };
    const observationMs = ['staging', 'canary', 'bake'].includes(id) ? Math.round((r.now - from) * 0.8) : 0;
    observed += observationMs;
    r.add({ type: 'stage.ended', stage: id, verdict, ms: r.now - from, observationMs, ...reason });
    ended.add(id);
    return verdict === 'pass';
  };
  const end = (verdict: 'go' | 'no-go' | 'rolled-back' | 'aborted', reason: string): JournalEntry[] => {
    if (ended.has('canary')) synthetic(r, r.now - began);
    r.add({
      type: 'release.ended',
      verdict,
      reason,
      wallMs: r.now - began,
      observationMs: observed,
      peakMemoryMb: 412,
    });
    return r.entries;
  };

  stage(
    'preflight',
    () => (r.add({ type: 'note', level: 'info', text: 'the release window is open until 05:00' }, 2_100), 'pass'),
  );
  stage('build', () => build(r));
  if (!stage('staging', () => staging(r, outcome)))
    return end('no-go', 'The load test failed: p95 of GET /api/lessons was 612 ms, wanted <= 300 ms.');
  stage('backup', () => backup(r));
  stage('prepare', () => prepare(r));
  if (outcome === 'aborted') return end('aborted', 'Stopped by a person with Ctrl-C before any traffic moved.');
  stage(
    'approval',
    () => (
      r.add(
        {
          type: 'approval.given',
          by: 'product owner',
          how: 'terminal',
          note: 'Go: the two waived findings are known.',
        },
        41_000,
      ),
      'pass'
    ),
  );
  if (outcome === 'unfinished') {
    r.add({ type: 'stage.started', stage: 'canary' });
    r.add({ type: 'action.intent', id: 'traffic-10', what: 'set 10 % of reads to green' });
    return r.entries;
  }
  stage('canary', () => canary(r));
  stage('cutover', () => cutover(r, 'forward'));
  if (outcome === 'rolled-back') {
    stage('bake', () => failedBake(r));
    return end(
      'rolled-back',
      'Green answered 4.1 % of requests with errors during the bake time, more than the 0.1 % that are allowed.',
    );
  }
  stage('bake', () => bake(r));
  stage(
    'cleanup',
    () => (
      r.add({ type: 'stack.applied', stack: 'production-blue', changes: { delete: 6, same: 2 }, ms: 2400 }, 2_400),
      'pass'
    ),
  );
  return end('go', 'Every gate passed, no request failed and no write was lost; green serves all traffic.');
}

function start(r: Recorder): void {
  r.add({
    type: 'release.started',
    release: '20261120-220000-2.0.0',
    kind: 'release',
    application: 'think-in-coin',
    environment: 'production',
    platform: 'local',
    from: { colour: 'blue', version: '1.4.2' },
    to: { colour: 'green', version: '2.0.0' },
    source: { commit: '4f1c2ab97de0c5a1b8e6d3f0a2c4e6081b3d5f70', branch: 'release/2.0', dirty: false },
    stages,
    gates: gates.map(([stage, id, title]) => ({ stage, id, title })),
    settings: { 'canary.steps': [10, 50], 'cutover.holdMs': 2000, 'slo.errorRate': 0.001, 'slo.p95Ms': 300 },
  });
  r.add({
    type: 'announcement.sent',
    to: 'status page',
    text: 'Think in Coin 2.0 goes live tonight. Expected downtime: none.',
    ok: true,
  });
}

function judge(r: Recorder, id: string, ms: number, result: Partial<GateResult> = {}): Verdict {
  const [stage, , title] = gates.find((gate) => gate[1] === id)!;
  const gate: GateResult = {
    id,
    title,
    verdict: 'pass',
    measured: '12 of 12 checks passed',
    wanted: 'every check',
    measurements: [{ name: 'checks', measured: '12 of 12', wanted: 'all', verdict: 'pass' }],
    evidence: [`evidence/${id}/log.txt`],
    ms,
    observationMs: 0,
    ...result,
  };
  r.add({ type: 'gate.judged', stage, gate }, ms);
  return gate.verdict;
}

function build(r: Recorder): Verdict {
  const artefact = { version: '2.0.0', digest: `sha256:${'3b'.repeat(32)}`, location: 'artefacts/3b' };
  r.add({ type: 'artefact.built', artefact, ms: 6400, files: 214, bytes: 18_400_000 }, 6_400);
  judge(r, 'unit-tests', 4_200, {
    measured: '312 tests passed',
    wanted: 'every test passes',
    evidence: ['evidence/unit-tests/junit.xml', 'evidence/unit-tests/log.txt'],
  });
  judge(r, 'integration-tests', 9_800, { measured: '58 tests passed', wanted: 'every test passes' });
  return 'pass';
}

function staging(r: Recorder, outcome: Outcome): Verdict {
  for (const stack of ['foundation', 'blue', 'green', 'traffic']) {
    r.add({ type: 'stack.applied', stack: `staging-${stack}`, changes: { create: 7, same: 0 }, ms: 2100 }, 2_100);
  }
  r.add({ type: 'migration.applied', where: 'staging', name: '0007_add_streaks.sql', phase: 'expand', ms: 34 });
  r.add({ type: 'data.compared', moment: 'staging', tables: tables(120), ms: 210 }, 210);
  judge(r, 'acceptance', 14_000, { measured: '41 tests passed', wanted: 'every test passes' });
  const slow = outcome === 'no-go';
  judge(r, 'load', 30_400, {
    verdict: slow ? 'fail' : 'pass',
    measured: slow ? 'p95 of GET /api/lessons: 612 ms' : '4 of 4 checks passed',
    wanted: slow ? '<= 300 ms' : 'every check',
    observationMs: 30_000,
    measurements: [
      { name: 'requests', measured: '6,021', wanted: '>= 5,700', verdict: 'pass' },
      {
        name: 'p95 of GET /api/lessons',
        measured: slow ? '612 ms' : '41 ms',
        wanted: '<= 300 ms',
        verdict: slow ? 'fail' : 'pass',
        ...(slow && { note: 'The database of the new colour used 1.9 of 2 processors: it is the bottleneck.' }),
      },
      { name: 'p95 of POST /api/progress', measured: '58 ms', wanted: '<= 300 ms', verdict: 'pass' },
      { name: 'failed requests', measured: '0.00 %', wanted: '<= 0.1 %', verdict: 'pass' },
    ],
  });
  if (slow) return 'fail';
  judge(r, 'capacity', 42_000, {
    measured: '340 requests/s, 1.7 times the expected peak',
    wanted: '>= 1.5 times',
    observationMs: 40_000,
  });
  judge(r, 'security-scan', 21_000, {
    verdict: 'waived',
    measured: 'Content-Security-Policy allows inline styles, medium',
    wanted: 'no finding of medium or above',
    measurements: [
      { name: 'pages visited', measured: '37', wanted: '>= 1', verdict: 'pass' },
      {
        name: 'Content-Security-Policy',
        measured: 'allows inline styles',
        wanted: 'no unsafe source',
        verdict: 'fail',
        note: 'The page /about sets style-src \'unsafe-inline\' <script>alert("x")</script>.',
      },
    ],
    evidence: ['evidence/security-scan/report.json'],
    waiver: { by: 'security officer', reason: 'Style sheets are moved out of the page in 2.1.', expires: '2026-12-31' },
  });
  judge(r, 'tls', 900, { measured: 'TLS 1.3, certificate valid for 89 days', wanted: 'TLS 1.2 or later, 14 days' });
  judge(r, 'authentication', 2_200);
  judge(r, 'policies', 1_100, { measured: '6 of 6 personal columns masked in staging', wanted: 'all' });
  return 'pass';
}

function backup(r: Recorder): Verdict {
  r.add({ type: 'backup.taken', id: 'b-20261120-220341', bytes: 94_400_000, lsn: '0/5A000138', ms: 2300 }, 2_300);
  r.add(
    {
      type: 'backup.restored',
      id: 'b-20261120-220341',
      recoveryTimeMs: 3_100,
      recoveryPointMs: 240,
      tables: tables(48_211),
      structure: { objects: 132, sequences: 5, sequencesLeftOut: 0, different: [], unknown: [] },
    },
    3_100,
  );
  r.add({ type: 'migration.applied', where: 'scratch', name: '0007_add_streaks.sql', phase: 'expand', ms: 61 });
  judge(r, 'backup-restore', 1_400, { measured: '5 tables equal', wanted: 'every table' });
  judge(r, 'migration-rehearsal', 900, { measured: '1 migration in 61 ms', wanted: '<= 60 s' });
  judge(r, 'compatibility', 8_000, { measured: '41 tests passed', wanted: 'every test passes' });
  return 'pass';
}

function prepare(r: Recorder): Verdict {
  r.add(
    { type: 'stack.applied', stack: 'production-green', changes: { create: 6, update: 1, same: 2 }, ms: 3100 },
    3_100,
  );
  r.add({ type: 'migration.applied', where: 'green', name: '0007_add_streaks.sql', phase: 'expand', ms: 57 });
  for (let i = 0; i <= 12; i += 1) {
    const lag = Math.round(900_000 * Math.exp(-i / 2));
    r.add(
      {
        type: 'sync.progress',
        direction: 'forward',
        tablesReady: Math.min(5, i),
        tables: 5,
        lagBytes: lag,
        lagMs: Math.round(lag / 1500),
      },
      1_000,
    );
  }
  r.add({ type: 'data.compared', moment: 'seed', tables: tables(48_377), ms: 640 }, 640);
  judge(r, 'sync', 1_200, { measured: '3 ms behind', wanted: '<= 5 s' });
  r.add({ type: 'alert.delivered', alert: 'InstanceDown', receiver: 'on-call', ms: 6200 }, 6_200);
  judge(r, 'alerts', 9_000, { measured: 'alert delivered in 6.2 s', wanted: '<= 30 s' });
  judge(r, 'smoke', 2_500, { measured: '9 tests passed', wanted: 'every test passes' });
  return 'pass';
}

function canary(r: Recorder): Verdict {
  observe(r, 6, 'blue', 0);
  for (const percent of [10, 50]) {
    r.add({ type: 'action.intent', id: `traffic-${percent}`, what: `set ${percent} % of reads to green` });
    r.add({ type: 'traffic.set', split: { live: 'blue', percent }, by: 'engine', ms: 1500 }, 1_500);
    r.add({ type: 'action.done', id: `traffic-${percent}`, ms: 1502 });
    observe(r, 20, 'blue', percent);
    r.add({
      type: 'canary.step',
      percent,
      verdict: 'pass',
      reason: 'no error in 400 requests; p95 1.1 times that of blue',
      observedPercent: percent + 0.4,
    });
  }
  return 'pass';
}

function cutover(r: Recorder, direction: 'forward' | 'rollback'): Verdict {
  const [from, to]: [Colour, Colour] = direction === 'forward' ? ['blue', 'green'] : ['green', 'blue'];
  const steps: [string, number, string?][] = [
    ['hold', 1],
    ['drain', 4, '3 were in flight'],
    ['fence', 2],
    ['replay', 2, 'up to LSN 0/5A3F0D20'],
    ['carry-over', 6, '4 sequences'],
    ['grant', 17],
    ['flip', 1],
  ];
  for (const [step, ms, detail] of steps) r.add({ type: 'cutover.step', step, ms, ...(detail && { detail }) }, ms);
  r.add({ type: 'traffic.set', split: { live: to, percent: 0 }, by: 'balancer', ms: 1 }, 1);
  r.add({ type: 'cutover.done', direction, from, to, holdMs: 34, totalMs: 61 }, 2);
  r.add(
    {
      type: 'data.compared',
      moment: direction === 'forward' ? 'cutover' : 'rollback',
      tables: tables(48_902),
      ms: 480,
    },
    480,
  );
  if (direction === 'forward')
    r.add({ type: 'sync.progress', direction: 'reverse', tablesReady: 5, tables: 5, lagBytes: 1200, lagMs: 2 }, 300);
  return 'pass';
}

function bake(r: Recorder): Verdict {
  observe(r, 30, 'green', 0);
  r.add({ type: 'sync.progress', direction: 'reverse', tablesReady: 5, tables: 5, lagBytes: 800, lagMs: 3 });
  return judge(r, 'user-journey', 100, { measured: '0 failed requests, 0 lost writes', wanted: 'none' });
}

function failedBake(r: Recorder): Verdict {
  observe(r, 9, 'green', 0);
  observe(r, 3, 'green', 0, 8);
  r.add({ type: 'alert.delivered', alert: 'ErrorBudgetBurn', receiver: 'on-call', ms: 2900 });
  r.add({ type: 'rollback.started', reason: 'error rate of green 4.10 %, wanted <= 0.1 %', automatic: true });
  cutover(r, 'rollback');
  r.add({ type: 'rollback.done', ms: 380, loss: { kind: 'none', because: 'compared' }, detail: 'blue is live again' });
  r.add({ type: 'stage.undone', stage: 'cutover', what: 'blue is live again', ms: 380 });
  observe(r, 8, 'blue', 0);
  return 'fail';
}

/** One window per second of 200 requests. */
function observe(r: Recorder, seconds: number, live: Colour, percent: number, errors = 0): void {
  for (let i = 0; i < seconds; i += 1) {
    const wave = 1 + 0.15 * Math.sin(r.now / 3_700);
    const other = Math.round(2 * percent * 0.8 * wave);
    const traffic = (requests: number, slower: number): ObservedTraffic => ({
      requests,
      errors: requests > 100 ? errors : 0,
      writes: Math.round(requests / 5),
      p50Ms: requests ? Math.round(11 * wave * slower) : undefined,
      p95Ms: requests ? Math.round(38 * wave * slower + 9 * Math.sin(r.now)) : undefined,
      p99Ms: requests ? Math.round(70 * wave * slower) : undefined,
    });
    const busy = traffic(Math.round(200 * wave) - other, 1);
    const quiet = traffic(other, 1.12);
    const colours = live === 'blue' ? { blue: busy, green: quiet } : { blue: quiet, green: busy };
    r.add({ type: 'traffic.observed', from: r.now, to: r.now + 1000, colours, split: { live, percent } }, 1_000);
  }
}

function synthetic(r: Recorder, ms: number): void {
  const total = Math.round(ms / 20);
  r.add({
    type: 'synthetic.ended',
    runs: 1,
    requests: { total, failed: 0 },
    writes: { acknowledged: Math.round(total / 5), lost: 0, duplicated: 0, unknown: 1 },
    perSecond: 50,
    failures: [],
  });
}

function tables(rows: number): TableComparison[] {
  const shares: [string, number][] = [
    ['users', 0.05],
    ['preferences', 0.05],
    ['lessons', 0.01],
    ['progress', 0.7],
    ['coins', 0.19],
  ];
  return shares.map(([table, share]) => ({
    table,
    rows: { left: Math.round(rows * share), right: Math.round(rows * share) },
    equal: true,
  }));
}
