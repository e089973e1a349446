import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { withClient } from '../../../../../../automation/data/connect.ts';
import { copyDatabase } from '../../../../../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../../../../../automation/data/schema.ts';
import { allOf, lastOf } from '../../../../../../automation/journal/entries.ts';
import { openJournal, type Journal } from '../../../../../../automation/journal/journal.ts';
import type { GateResult } from '../../../../../../automation/journal/verdict.ts';
import {
  openRun,
  type ReleaseContext,
  type ReleaseSettings,
} from '../../../../../../automation/release/context/context.ts';
import type { Replacement } from '../../../../../../automation/release/context/release.ts';
import { plannedSteps, takeSteps } from '../../../../../../automation/release/context/stage.ts';
import { backup } from '../../../../../../automation/release/stages/backup.ts';
import { migrate, migrateAtOnce } from '../../../../../../automation/release/steps/data/migrate.ts';
import { migrateInWindow } from '../../../../../../automation/release/steps/data/window-migrations.ts';
import { revokeWrites } from '../../../../../../infra/application/roles.ts';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import { createLocalJobs } from '../../../../../../infra/local/runtime/jobs.ts';
import type { Artefact } from '../../../../../../infra/model.ts';
import type { Backup } from '../../../../../../infra/platform/backups.ts';
import type { Environment } from '../../../../../../infra/platform/environment.ts';
import type { Job } from '../../../../../../infra/platform/jobs.ts';
import { createRig, schemaV1, value, type Rig } from '../../../data/rig.ts';

const passing = '<testsuite tests="1"><testcase name="one"/></testsuite>';
const failing = '<testsuite tests="1"><testcase name="one"><failure message="no"/></testcase></testsuite>';

const schema = `${schemaV1}
  CREATE TABLE events (id bigint, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
  CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  INSERT INTO events VALUES (1, '2026-01-05');`;

const rename = 'ALTER TABLE accounts RENAME email TO address;';

/** A release with a read-only window: blue is live, green is the copy at first, and then the inactive colour. */
describe('incompatible migrations', () => {
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
    const definition = {
      application: {
        version: '2.0.0',
        migrations:
          'expand' in migrations
            ? { accept: [], ...migrations }
            : { directory: 'migrations', contract: [], accept: [], incompatible, ...migrations },
      },
      data: {
        invariants: [],
        limits: { restoreSeconds: 900, backupAgeSeconds: 300, copySeconds: 600, invariantSeconds: 60 },
        ...data,
      },
      cutover: { holdMs: 2000 },
      tests: { acceptance: { command: ['test', '{results}'], timeoutSeconds: 5 } },
      environments: { production: {} },
      waivers: [],
    };
    const settings = {
      id: 'r',
      kind: 'release',
      environment: 'production',
      directory: join(directory, 'release'),
      journal,
      definition,
      platform: { idleColour: 'taken down' },
      from: { colour: 'blue', version: '1.0.0', artefact: artefact('1.0.0') },
      to: { colour: 'green', version: '2.0.0' },
      signal: new AbortController().signal,
      waiting: (text: string) => void said.push(text),
    } as unknown as ReleaseSettings & Replacement;
    const context: ReleaseContext = {
      ...openRun(settings).at('backup').context,
      connect: () => Promise.resolve(environment),
      artefact: () => artefact('2.0.0'),
      spec: () => ({}) as ReturnType<ReleaseContext['spec']>,
    };
    return { context, stage: backup(settings), jobs: environment.jobs };
  }

  const gates = () => allOf(journal.entries(), 'gate.judged').map(({ gate }) => `${gate.id}: ${gate.verdict}`);
  const gate = (id: string): GateResult | undefined =>
    allOf(journal.entries(), 'gate.judged').findLast((one) => one.gate.id === id)?.gate;

  describe('on the copy', () => {
    const rehearse = async (sql: string, migrations: object = {}, data: object = {}) => {
      await file('002_expand.sql', 'ALTER TABLE accounts ADD points int;');
      await file('006_window.sql', sql);
      const { context, stage } = release(migrations, data);
      await takeSteps(context, stage);
      return plannedSteps(stage).map(({ says }) => says);
    };

    it('run after the old version was tried, and before the new one is', async () => {
      await file('009_contract.sql', 'ALTER TABLE accounts DROP COLUMN points;');
      const planned = await rehearse(rename, { contract: ['009_contract.sql'] });
      expect(gates()).to.deep.equal([
        'backup-restore: pass',
        'migration-rehearsal: pass',
        'migration-effects: pass',
        'compatibility: pass',
        'read-only-window: pass',
        'rehearsal-acceptance: pass',
        'contract-rehearsal: pass',
      ]);
      expect(calls).to.deep.equal([
        'serve 1.0.0',
        'test 1.0.0',
        'serve 2.0.0, migrated',
        'serve 2.0.0, migrated',
        'test 2.0.0',
        'serve 2.0.0, migrated',
        'test 2.0.0',
      ]);
      const applied = allOf(journal.entries(), 'migration.applied').map(({ name, phase }) => `${name} ${phase}`);
      expect(applied).to.deep.equal([
        '002_expand.sql expand',
        '006_window.sql incompatible',
        '009_contract.sql contract',
      ]);
      expect(said.filter((text) => planned.includes(text))).to.deep.equal(planned);
    });

    it('leave the evidence for the window: what they changed, and how long it took', async () => {
      await rehearse(
        `${rename} DELETE FROM settings WHERE account < 10; ALTER TABLE counters RENAME TO numbers; DELETE FROM numbers WHERE id = 1;`,
      );
      const found = lastOf(journal.entries(), 'window.rehearsed');
      const changes = (found?.changes ?? []).map(({ kind, name, change }) => `${change} ${kind} ${name}`);
      expect(changes)
        .to.include('gone column public.accounts.email')
        .and.include('new column public.accounts.address')
        .and.include('new table public.numbers');
      // One that has another name is the same table.
      expect(found?.counts).to.deep.equal({ 'public.numbers': -1, 'public.settings': -1 });
      expect(found?.compareMs).to.be.a('number');
      const { ms = 0, startMs = 0, compareMs = 0, expectedMs = 0 } = found ?? {};
      expect(expectedMs).to.be.at.least(ms + startMs + compareMs + 2000);
      const parts = gate('read-only-window')?.measurements.map(({ name }) => name);
      expect(parts).to.include('comparison of both databases').and.include('time without writes');
    });

    it('that fail there are not followed by the new version: nothing of it would say anything', async () => {
      await rehearse('SELECT 1 / 0;');
      expect(gates().slice(3)).to.deep.equal(['compatibility: pass', 'read-only-window: error']);
      expect(gate('read-only-window')?.measured).to.include('006_window.sql');
      expect(lastOf(journal.entries(), 'window.rehearsed')).to.equal(undefined);
    });

    it('that take longer than users are to go without writing end the release, with every part named', async () => {
      await rehearse(rename, {
        incompatible: { files: ['006_window.sql'], readOnlyWindow: { longestSeconds: 5 } },
      });
      expect(gate('read-only-window')).to.include({ verdict: 'fail', wanted: '<= 5 s' });
      expect(gate('rehearsal-acceptance')?.verdict).to.equal('pass');
    });

    it('that break an invariant end the release', async () => {
      const invariants = [
        {
          name: 'every account has settings',
          sql: 'SELECT FROM accounts WHERE id NOT IN (SELECT account FROM settings)',
        },
      ];
      await rehearse('DELETE FROM settings WHERE account < 10;', {}, { invariants });
      expect(gate('migration-rehearsal')?.verdict).to.equal('pass');
      expect(gate('read-only-window')?.measured).to.equal('invariant every account has settings: 9 rows break it');
    });

    it('are not there without a window: the new version is tried first, as always', async () => {
      await rehearse('SELECT 1;', { incompatible: undefined });
      expect(gates().slice(3)).to.deep.equal([
        'rehearsal-acceptance: pass',
        'compatibility: pass',
        'contract-rehearsal: pass',
      ]);
    });
  });

  describe('in the window', () => {
    /** Rehearses `sql`; `meanwhile` happens on the live database; then the inactive colour is ready for the window. */
    const upToWindow = async (sql: string, meanwhile: string): Promise<ReleaseContext> => {
      await file('002_expand.sql', 'ALTER TABLE accounts ADD points int;');
      await file('006_window.sql', sql);
      const { context, stage, jobs } = release();
      await takeSteps(context, stage);
      await rig.run(rig.blue, meanwhile);
      await copied();
      await migrate(context, 'expand', { access: rig.green.access, artefact: artefact('2.0.0'), where: 'green', jobs });
      return context;
    };
    const inWindow = async (sql: string, meanwhile: string) =>
      migrateInWindow(await upToWindow(sql, meanwhile), rig.green, new AbortController().signal);
    const refused = async (work: Promise<unknown>): Promise<OperationError> => {
      const error = await work.then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(error).to.be.instanceOf(OperationError);
      return error as OperationError;
    };

    it('do what they did on the copy, though the database has gone on', async () => {
      await inWindow(
        `${rename}
         ALTER TABLE events ADD kind text;
         DELETE FROM settings WHERE value = 'dark' AND account < 10;
         CREATE TABLE totals AS SELECT sum(n) FROM counters;
         DO $$ BEGIN
           EXECUTE format('CREATE TABLE before_%s AS SELECT id FROM counters', (extract(epoch FROM clock_timestamp()) * 1000)::bigint);
           EXECUTE format('ALTER SEQUENCE ticket_numbers START %s', (SELECT count(*) FROM counters));
         END $$;`,
        // Rows, a partition, and nothing left to delete.
        `CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
         INSERT INTO events VALUES (2, '2026-02-05');
         INSERT INTO counters VALUES (7), (8);
         DELETE FROM settings WHERE account < 10;`,
      );
      expect(await has('address')).to.equal(true);
      const applied = allOf(journal.entries(), 'migration.applied').at(-1);
      expect(applied).to.include({ where: 'green', name: '006_window.sql', phase: 'incompatible' });
    });

    it('are refused where they change the catalog otherwise than on the copy', async () => {
      const sql = `DO $$ BEGIN
        IF (SELECT count(*) FROM counters) > 3 THEN CREATE INDEX surprise ON counters (n);
        ELSE ALTER TABLE settings ADD wanted int; END IF; END $$;`;
      const { doing, found } = await refused(inWindow(sql, 'INSERT INTO counters VALUES (7)'));
      expect(doing).to.equal('migrating green in the read-only window');
      expect(found)
        .to.include('the index public.surprise is new: not so in the rehearsal')
        .and.include('the column public.settings.wanted is new: in the rehearsal alone');
    });

    it('are refused where an object is made in another way than on the copy', async () => {
      const sql = `DO $$ BEGIN EXECUTE 'ALTER TABLE settings ADD wanted ' ||
        CASE WHEN (SELECT count(*) FROM counters) > 3 THEN 'text' ELSE 'boolean' END; END $$;`;
      const { found } = await refused(inWindow(sql, 'INSERT INTO counters VALUES (7)'));
      expect(found).to.include('the column public.settings.wanted is new: not so in the rehearsal');
    });

    it('are refused where rows go, or come, that did not in the rehearsal', async () => {
      const sql = `DELETE FROM settings WHERE value = 'light';`;
      const { found } = await refused(inWindow(sql, `UPDATE settings SET value = 'light' WHERE account = 1`));
      expect(found).to.equal(
        'it did something else than on the copy: the table public.settings has fewer rows: not so in the rehearsal',
      );
    });

    it('are ended by the signal, and rolled back', async () => {
      const ending = new AbortController();
      const reason = new Error('the window is over');
      const sql = `${rename} SELECT pg_sleep(CASE WHEN (SELECT count(*) FROM counters) > 3 THEN 600 ELSE 0 END);`;
      let ended = false;
      const context = await upToWindow(sql, 'INSERT INTO counters VALUES (7)');
      const run = migrateInWindow(context, rig.green, ending.signal)
        .catch((error: unknown) => error)
        .finally(() => (ended = true));
      const asleep = `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'greenlight-migrations' AND wait_event = 'PgSleep'`;
      while (!ended && (await value<number>(rig.green, asleep)) === 0) await setImmediate();
      ending.abort(reason);
      expect(await run).to.equal(reason);
      expect(await has('email')).to.equal(true);
    });

    it('by a command are ended by the signal, which the command gets as SIGTERM', async () => {
      const incompatible = {
        command: ['sh', '-c', 'trap "echo ended; exit 1" TERM; echo begun; while :; do sleep 0.1; done'],
        readOnlyWindow: { longestSeconds: 60 },
      };
      const { context } = release({ expand: ['true'], records: [], incompatible });
      journal.append({ type: 'window.rehearsed', ms: 1, startMs: 1, postgres: 15, changes: [], counts: {} });
      await copied();
      const ending = new AbortController();
      const reason = new Error('the window is over');
      let ended = false;
      const run = migrateInWindow(context, rig.green, ending.signal)
        .catch((error: unknown) => error)
        .finally(() => (ended = true));
      const log = () =>
        readFile(join(directory, 'release', 'evidence', 'migrations', 'green-incompatible.log'), 'utf8').catch(
          () => '',
        );
      while (!ended && !(await log()).includes('begun')) await setImmediate();
      ending.abort(reason);
      expect(await run).to.equal(reason);
      expect(await log()).to.include('ended');
    });

    it('are ended by the signal before they begin, while rows are counted', async () => {
      await file('006_window.sql', rename);
      await copied();
      const { context } = release();
      journal.append({ type: 'window.rehearsed', ms: 1, startMs: 1, postgres: 15, changes: [], counts: {} });
      const ending = new AbortController();
      const reason = new Error('the window is over');
      const counting = `SELECT count(*)::int FROM pg_locks WHERE relation = 'settings'::regclass AND NOT granted`;
      await withClient(rig.green.access, 'admin', async (blocker) => {
        await blocker.query('BEGIN; LOCK TABLE settings');
        let ended = false;
        const run = migrateInWindow(context, rig.green, ending.signal)
          .catch((error: unknown) => error)
          .finally(() => (ended = true));
        while (!ended && (await value<number>(rig.green, counting)) === 0) await setImmediate();
        ending.abort(reason);
        expect(await run).to.equal(reason);
      });
      expect(await has('email')).to.equal(true);
    });

    it('do not run where this release has not rehearsed them', async () => {
      await file('006_window.sql', rename);
      await copied();
      const { found } = await refused(migrateInWindow(release().context, rig.green, new AbortController().signal));
      expect(found).to.include('has no rehearsal');
      expect(await has('email')).to.equal(true);
    });
  });

  describe('on a database without an old version', () => {
    const atOnce = async (version: string, migrations: object = {}) => {
      const { context, jobs } = release(migrations);
      const target = { access: rig.green.access, artefact: artefact(version), where: 'staging', jobs } as const;
      await migrateAtOnce(context, target);
      return allOf(journal.entries(), 'migration.applied').map(({ name, phase }) => `${name} ${phase}`);
    };
    beforeEach(copied);

    it('run right after the expand migrations', async () => {
      await file('006_window.sql', rename);
      await file('007_more.sql', 'ALTER TABLE accounts ADD points int;');
      expect(await atOnce('2.0.0')).to.deep.equal(['007_more.sql expand', '006_window.sql incompatible']);
    });

    it('are not there in an older version, and not run by its build', async () => {
      await file('001_first.sql', 'SELECT 1;', '1.0.0');
      expect(await atOnce('1.0.0')).to.deep.equal(['001_first.sql expand']);
    });

    it('by a command run only in the build of the version that they are about', async () => {
      const migrations = {
        records: [],
        expand: ['true'],
        incompatible: { command: ['true', 'window'], readOnlyWindow: { longestSeconds: 60 } },
      };
      expect(await atOnce('1.0.0', migrations)).to.deep.equal(['true expand']);
      expect(await atOnce('2.0.0', migrations)).to.deep.equal([
        'true expand',
        'true expand',
        'true window incompatible',
      ]);
    });
  });
});
