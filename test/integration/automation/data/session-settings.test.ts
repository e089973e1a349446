import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { compareFollowing } from '../../../../automation/data/comparison/following.ts';
import { connect, close, row, withClient } from '../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../automation/data/link.ts';
import { copyDatabase } from '../../../../automation/data/copying/schema.ts';
import {
  followSync,
  startSync,
  stopSync,
  syncStatus,
  waitForSync,
} from '../../../../automation/data/replication/sync.ts';
import { serverLog } from '../../../../infra/local/postgres/cluster.ts';
import { CutoverScene } from './cutover/scene.ts';
import { faults } from './faults.ts';
import { expand, expandV2, migrate, schemaV1, value } from './rig.ts';
import { MemoryRouter } from './traffic.ts';

/** What owners set for an application, and what ends or changes the work of anybody else. */
const hostile: Record<string, string> = {
  idle_in_transaction_session_timeout: '1s',
  idle_session_timeout: '1s',
  statement_timeout: '300ms',
  lock_timeout: '50ms',
  default_transaction_read_only: 'on',
  default_transaction_isolation: 'serializable',
  default_transaction_deferrable: 'on',
  row_security: 'off',
  role: 'app_reader',
  synchronous_commit: 'off',
  quote_all_identifiers: 'on',
  standard_conforming_strings: 'off',
  client_min_messages: 'debug1',
  search_path: 'nowhere',
};

describe('settings that the owner has made for the application', () => {
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });
  const admin = (side: typeof scene.rig.blue, sql: string) =>
    withClient(side.access, 'admin', async (client) => void (await client.query(sql)));
  const forTheDatabase = Object.entries(hostile)
    .map(([name, to]) => `ALTER DATABASE app SET ${name} = '${to}'`)
    .join('; ');
  const forRoles = Object.entries(hostile)
    .flatMap(([name, to]) => [`ALTER ROLE admin SET ${name} = '${to}'`, `ALTER ROLE owner SET ${name} = '${to}'`])
    .join('; ');
  const none = 'ALTER DATABASE app RESET ALL; ALTER ROLE admin RESET ALL; ALTER ROLE owner RESET ALL';
  const link = () => linkBetween(scene.rig.blue, scene.rig.green);

  afterEach(async () => {
    for (const side of [scene.rig.blue, scene.rig.green]) await admin(side, none);
  });

  /** Neither a lock that a reader's transaction keeps for a while, nor rest, ends the replication to green. */
  async function survives(): Promise<void> {
    const { rig } = scene;
    const reader = await connect(rig.green.access, 'admin');
    await reader.query('BEGIN; LOCK TABLE public.settings IN SHARE MODE');
    await rig.run(rig.blue, `SET search_path = public; INSERT INTO settings VALUES (1, 'language', 'Nepali')`);
    await sleep(1_500);
    expect((await reader.query('SELECT 1')).rowCount, 'an idle transaction of ours').to.equal(1);
    await reader.query('ROLLBACK');
    await close(reader);
    await waitForSync(link(), { timeoutMs: 30_000 });
    expect(await syncStatus(link())).to.include({ state: 'streaming' });
    const compared = await compareFollowing(link(), 'left');
    expect(compared.length).to.be.greaterThan(3);
    expect(compared.filter(({ equal }) => !equal)).to.deep.equal([]);
  }

  it('hinder no physical copy, no replication, no comparison and no cutover, there and back [H1] [H2]', async () => {
    const { rig } = scene;
    await rig.fresh(schemaV1);
    await admin(rig.blue, forTheDatabase);
    await rig.seed();
    await migrate(rig, `SET search_path = public; ${expandV2}`);
    await followSync(link());
    await waitForSync(link(), { timeoutMs: 30_000 });
    await survives();
    scene.router = new MemoryRouter();
    const there = await scene.forward();
    expect([there.problems, there.equal], JSON.stringify(there.tables)).to.deep.equal([[], true]);
    await rig.run(rig.green, `SET search_path = public; UPDATE counters SET n = 7`);
    const back = await scene.back();
    expect([back.problems, back.equal]).to.deep.equal([[], true]);
    expect(await value(rig.blue, 'SELECT sum(n)::int FROM public.counters')).to.equal(21);
  });

  it('let no commit of a cutover be lost, if the new side crashes as soon as writes are released [H2]', async () => {
    const { rig } = scene;
    await scene.following();
    for (const side of [rig.blue, rig.green]) await admin(side, 'ALTER ROLE admin SET synchronous_commit = off');
    await scene.write(300, undefined, 50);
    let crashed: Promise<void> | undefined;
    const there = await scene.forward({
      onStep: (step) => {
        if (step === 'release') crashed = faults['the server crashes and is started']?.(rig, rig.green);
      },
    });
    await crashed;
    expect(there.problems).to.deep.equal([]);
    await scene.expectNothingLost(50, { mayFail: true });
  });

  it('hinder no copy of schema and rows, and no replication after it, also where they are those of the roles [H1] [H2]', async () => {
    const { rig } = scene;
    await rig.fresh(schemaV1);
    await rig.run(
      rig.blue,
      `CREATE TABLE slow (id int PRIMARY KEY, filler text); INSERT INTO slow SELECT i, repeat('x', 900) FROM generate_series(1, 60000) i`,
    );
    for (const side of [rig.blue, rig.green]) await admin(side, `${forTheDatabase}; ${forRoles}`);
    await expand(rig, 'SELECT 1');
    await startSync(rig.blue, rig.green);
    await waitForSync(link(), { timeoutMs: 30_000 });
    await survives();
    await stopSync(link());
    expect(await value(rig.green, 'SELECT count(*)::int FROM public.slow')).to.equal(60_000);
  });

  it('hinder no copy for staging [H1] [H2]', async () => {
    const { rig } = scene;
    await rig.fresh(schemaV1);
    for (const side of [rig.blue, rig.green]) await admin(side, `${forTheDatabase}; ${forRoles}`);
    await copyDatabase(rig.blue.access, rig.green.access);
    expect(await value(rig.green, 'SELECT count(*)::int FROM public.accounts')).to.equal(500);
  });

  it('that log statements bring no password into the log [H2]', async () => {
    const { rig } = scene;
    await rig.fresh(schemaV1);
    const loud = `ALTER DATABASE app SET log_statement = 'all'; ALTER DATABASE app SET log_min_duration_statement = 0; ALTER DATABASE app SET log_duration = on`;
    for (const side of [rig.blue, rig.green]) await admin(side, loud);
    await expand(rig, 'SELECT 1');
    await startSync(rig.blue, rig.green);
    const log = await readFile(serverLog(rig.specs.green), 'utf8');
    expect(log).to.include('pg_subscription').and.not.include('CREATE SUBSCRIPTION').and.not.include(' in-blue');
    await stopSync(link());
  });

  it('are those of the owner: a migration has them, except for what would end it [H2]', async () => {
    const { rig } = scene;
    await rig.fresh(schemaV1);
    await admin(
      rig.blue,
      `ALTER DATABASE app SET search_path = public, pg_catalog; ALTER DATABASE app SET lock_timeout = '50ms'`,
    );
    await withClient(rig.blue.access, 'owner', async (client) => {
      expect(
        await row(client, `SELECT current_setting('search_path') AS path, current_setting('lock_timeout') AS lock`),
      ).to.deep.equal({
        path: 'public, pg_catalog',
        lock: '0',
      });
    });
  });
});
