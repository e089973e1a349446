import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withClient } from '../../../../../../automation/data/connect.ts';
import { copyDatabase } from '../../../../../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../../../../../automation/data/schema.ts';
import { allOf } from '../../../../../../automation/journal/entries.ts';
import { openJournal, type Journal } from '../../../../../../automation/journal/journal.ts';
import type { GateResult } from '../../../../../../automation/journal/verdict.ts';
import { openRun, type ReleaseContext } from '../../../../../../automation/release/context/context.ts';
import { backup } from '../../../../../../automation/release/stages/backup.ts';
import { revokeWrites } from '../../../../../../infra/application/roles.ts';
import { createLocalJobs } from '../../../../../../infra/local/runtime/jobs.ts';
import type { Artefact } from '../../../../../../infra/model.ts';
import type { Backup } from '../../../../../../infra/platform/backups.ts';
import type { Environment } from '../../../../../../infra/platform/environment.ts';
import type { Job } from '../../../../../../infra/platform/jobs.ts';
import { createRig, schemaV1, value, type Rig } from '../../../data/rig.ts';
import { releaseSettings } from '../../settings.ts';

const passing = '<testsuite tests="1"><testcase name="one"/></testsuite>';
const failing = '<testsuite tests="1"><testcase name="one"><failure message="no"/></testcase></testsuite>';

const schema = `${schemaV1}
  CREATE TABLE events (id bigint, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  INSERT INTO events VALUES (1, '2026-01-05');`;

export const rename = 'ALTER TABLE accounts RENAME email TO address;';

/**
 * A release with a read-only window: blue is live, green is the copy at first, and then the inactive colour. Its hooks are those of the
 * suite that calls this.
 */
export function windowMigrations() {
  let rig: Rig;
  let directory: string;
  let journal: Journal;
  let calls: string[];
  let said: string[];
  let verdictOf: (version: string) => boolean;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-window-'));
    await mkdir(join(directory, 'release'));
    for (const version of ['1.0.0', '2.0.0']) await mkdir(join(directory, version, 'migrations'), { recursive: true });
    journal = openJournal(join(directory, 'release'));
    [calls, said] = [[], []];
    verdictOf = () => true;
    await rig.fresh(schema);
  });
  afterEach(async () => {
    journal.close();
    await rm(directory, { recursive: true });
  });

  const artefact = (version: string): Artefact => ({ version, digest: version, location: join(directory, version) });
  const file = (name: string, sql: string, version = '2.0.0') =>
    writeFile(join(directory, version, 'migrations', name), sql);
  const copied = async () => {
    // The acceptance tests have left the right to write there.
    await withClient(rig.green.access, 'admin', (client) => client.query(revokeWrites));
    await resetDatabase(rig.green.access, 'green');
    await copyDatabase(rig.blue.access, rig.green.access);
  };
  const has = (column: string) =>
    value<boolean>(
      rig.green,
      `SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'accounts' AND column_name = $1)`,
      [column],
    );

  /** The context of a release whose window runs `006_window.sql`, if `migrations` says nothing else. */
  function release(migrations: object = {}, data: object = {}) {
    let configuration: unknown;
    const environment = {
      databases: { of: (colour: 'blue' | 'green') => Promise.resolve(rig[colour].access) },
      backups: {
        take(_colour: string, version: string, what: unknown): Promise<Backup> {
          configuration = JSON.parse(JSON.stringify(what));
          return Promise.resolve({
            id: 'b',
            version,
            takenAt: new Date().toISOString(),
            bytes: 9,
          } as unknown as Backup);
        },
        verify: () => Promise.resolve(configuration),
        async restore() {
          await copied();
          return { access: rig.green.access, dispose: () => Promise.resolve() };
        },
      },
      previews: {
        async serve({ version }: Artefact) {
          calls.push(`serve ${version}${(await has('address')) ? ', migrated' : ''}`);
          return { baseUrl: 'http://127.0.0.1:1', routeHeaders: {}, dispose: () => Promise.resolve() };
        },
      },
      jobs: {
        async run(job: Job) {
          const { artefact: tested, results } = job;
          if (results === undefined) return createLocalJobs({ redact: (text) => text }).run(job);
          calls.push(`test ${tested.version}`);
          // Acceptance tests write, and may make objects.
          if (tested.version === '2.0.0')
            await rig.run(rig.green, 'INSERT INTO counters VALUES ((SELECT max(id) + 1 FROM counters))');
          const good = verdictOf(tested.version);
          await writeFile(results, good ? passing : failing);
          return { exitCode: good ? 0 : 1, timedOut: false, ms: 1, tail: '' };
        },
      },
    } as unknown as Environment;
    const incompatible = { files: ['006_window.sql'], readOnlyWindow: { longestSeconds: 60 } };
    const checked = releaseSettings({
      directory: join(directory, 'release'),
      journal,
      definition: {
        application: {
          migrations: 'expand' in migrations ? migrations : { directory: 'migrations', incompatible, ...migrations },
        },
        canary: { steps: [] },
      },
      old: artefact('1.0.0'),
      waiting: (text) => void said.push(text),
    });
    const { definition } = checked;
    // Unchecked, as an invariant may have a sentence for a name here.
    const settings = { ...checked, definition: { ...definition, data: { ...definition.data, ...data } } };
    const context: ReleaseContext = {
      ...openRun(settings).at('backup').context,
      connect: () => Promise.resolve(environment),
      artefact: () => artefact('2.0.0'),
    };
    return { context, stage: backup(settings), jobs: environment.jobs };
  }

  const gates = () => allOf(journal.entries(), 'gate.judged').map(({ gate }) => `${gate.id}: ${gate.verdict}`);
  const gate = (id: string): GateResult | undefined =>
    allOf(journal.entries(), 'gate.judged').findLast((one) => one.gate.id === id)?.gate;

  return {
    get rig() {
      return rig;
    },
    get directory() {
      return directory;
    },
    get journal() {
      return journal;
    },
    get calls() {
      return calls;
    },
    get said() {
      return said;
    },
    artefact,
    file,
    copied,
    has,
    release,
    gates,
    gate,
  };
}
