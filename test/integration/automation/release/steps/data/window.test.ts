import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { withClient } from '../../../../../../automation/data/connect.ts';
import { allOf } from '../../../../../../automation/journal/entries.ts';
import { type ReleaseContext } from '../../../../../../automation/release/context/context.ts';
import { takeSteps } from '../../../../../../automation/release/context/stage.ts';
import { migrate } from '../../../../../../automation/release/steps/data/migrate.ts';
import { migrateInWindow } from '../../../../../../automation/release/steps/data/window-migrations.ts';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import { value } from '../../../data/rig.ts';
import { rename, windowMigrations } from './window-migrations.ts';

describe('incompatible migrations', () => {
  const scene = windowMigrations();
  const { artefact, copied, file, has, release } = scene;

  describe('in the window', () => {
    /** Rehearses `sql`; `meanwhile` happens on the live database; then the inactive colour is ready for the window. */
    const upToWindow = async (sql: string, meanwhile: string): Promise<ReleaseContext> => {
      await file('002_expand.sql', 'ALTER TABLE accounts ADD points int;');
      await file('006_window.sql', sql);
      const { context, stage, jobs } = release();
      await takeSteps(context, stage);
      await scene.rig.run(scene.rig.blue, meanwhile);
      await copied();
      await migrate(context, 'expand', {
        access: scene.rig.green.access,
        artefact: artefact('2.0.0'),
        where: 'green',
        jobs,
      });
      return context;
    };
    const inWindow = async (sql: string, meanwhile: string) =>
      migrateInWindow(await upToWindow(sql, meanwhile), scene.rig.green, new AbortController().signal);
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
      const applied = allOf(scene.journal.entries(), 'migration.applied').at(-1);
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
      const run = migrateInWindow(context, scene.rig.green, ending.signal)
        .catch((error: unknown) => error)
        .finally(() => (ended = true));
      const asleep = `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'greenlight-migrations' AND wait_event = 'PgSleep'`;
      while (!ended && (await value<number>(scene.rig.green, asleep)) === 0) await setImmediate();
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
      scene.journal.append({ type: 'window.rehearsed', ms: 1, startMs: 1, postgres: 15, changes: [], counts: {} });
      await copied();
      const ending = new AbortController();
      const reason = new Error('the window is over');
      let ended = false;
      const run = migrateInWindow(context, scene.rig.green, ending.signal)
        .catch((error: unknown) => error)
        .finally(() => (ended = true));
      const log = () =>
        readFile(join(scene.directory, 'release', 'evidence', 'migrations', 'green-incompatible.log'), 'utf8').catch(
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
      scene.journal.append({ type: 'window.rehearsed', ms: 1, startMs: 1, postgres: 15, changes: [], counts: {} });
      const ending = new AbortController();
      const reason = new Error('the window is over');
      const counting = `SELECT count(*)::int FROM pg_locks WHERE relation = 'settings'::regclass AND NOT granted`;
      await withClient(scene.rig.green.access, 'admin', async (blocker) => {
        await blocker.query('BEGIN; LOCK TABLE settings');
        let ended = false;
        const run = migrateInWindow(context, scene.rig.green, ending.signal)
          .catch((error: unknown) => error)
          .finally(() => (ended = true));
        while (!ended && (await value<number>(scene.rig.green, counting)) === 0) await setImmediate();
        ending.abort(reason);
        expect(await run).to.equal(reason);
      });
      expect(await has('email')).to.equal(true);
    });

    it('do not run where this release has not rehearsed them', async () => {
      await file('006_window.sql', rename);
      await copied();
      const { found } = await refused(
        migrateInWindow(release().context, scene.rig.green, new AbortController().signal),
      );
      expect(found).to.include('has no rehearsal');
      expect(await has('email')).to.equal(true);
    });
  });
});
