import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { execa } from 'execa';
import { databaseUrl } from '../../../infra/application/database-url.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { clientOf, contractFile, migrate, openWorkshop, withClient, type Workshop } from './sample.ts';

type Row = Record<string, unknown>;

const query = (access: DatabaseAccess, sql: string, values: unknown[] = []): Promise<Row[]> =>
  withClient(databaseUrl(access, 'admin'), async (client) => (await client.query<Row>(sql, values)).rows);

/** Both databases are in one cluster, where a subscription cannot make its slot itself: it would wait for its own transaction. */
async function subscribe(
  name: string,
  to: DatabaseAccess,
  from: DatabaseAccess,
  tables: string,
  copy: boolean,
): Promise<void> {
  await query(from, `create publication ${name} for ${tables}`);
  await query(from, `select pg_create_logical_replication_slot('${name}', 'pgoutput')`);
  const login = `host=${from.host} port=${from.port} dbname=${from.database} user=${from.admin.user} password=${from.admin.password} sslmode=require`;
  await query(
    to,
    `create subscription ${name} connection '${login}' publication ${name} with (create_slot = false, copy_data = ${copy})`,
  );
}

async function unsubscribe(name: string, to: DatabaseAccess, from: DatabaseAccess): Promise<void> {
  await query(to, `drop subscription ${name}`);
  await query(from, `drop publication ${name}`);
}

/** Until `to` has applied everything that `from` has committed. */
async function caughtUp(name: string, to: DatabaseAccess, from: DatabaseAccess): Promise<void> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const [open] = await query(to, "select count(*)::int as n from pg_subscription_rel where srsubstate <> 'r'");
    const [slot] = await query(from, `select pg_current_wal_lsn() as lsn`);
    const [done] = await query(
      from,
      'select bool_and(replay_lsn >= $2) as yes from pg_stat_replication where application_name = $1',
      [name, slot?.['lsn']],
    );
    if (open?.['n'] === 0 && done?.['yes'] === true) return;
    if (Date.now() > deadline) throw new Error(`${name} has not caught up: ${JSON.stringify({ open, done })}`);
    await wait(50);
  }
}

describe('sample application: replication between its versions', function () {
  this.timeout(60_000);
  let shop: Workshop;
  let v1: string;
  let v2: string;
  let old: DatabaseAccess;
  let fresh: DatabaseAccess;

  before(async () => {
    shop = await openWorkshop();
    [v1, v2] = await Promise.all([shop.build('1.0.0'), shop.build('2.0.0')]);
    [old, fresh] = [await shop.database(v1), await shop.database(v1)];
    const seed = { DATABASE_URL: databaseUrl(old, 'owner'), SEED_ACCOUNTS: '200' };
    await execa(process.execPath, ['seed.mjs'], { cwd: v1, env: seed });
    // The schema alone: reference data comes with the copy.
    await query(fresh, 'truncate lessons cascade');
  });
  after(async () => {
    for (const [name, to, from] of [
      ['forward', fresh, old],
      ['backward', old, fresh],
    ] as const)
      await unsubscribe(name, to, from).catch(() => undefined);
    await shop.close();
  });

  it('forward: the expanded schema fills its own columns for rows of 1.0.0, and forgets whom 1.0.0 erases', async () => {
    await subscribe('forward', fresh, old, 'all tables', true);
    await caughtUp('forward', fresh, old);
    await migrate(fresh, v2, (name) => !name.startsWith('001') && name !== contractFile);

    const url = await shop.serve(v1, old);
    const learner = await clientOf(url, shop.caFile);
    await learner.send('PATCH', '/api/preferences', { reminder: 'daily', key: randomUUID() });
    await learner.send('POST', '/api/progress', { lessonId: 'budget', answer: 0, key: randomUUID() });
    await caughtUp('forward', fresh, old);
    const state = () =>
      query(
        fresh,
        `select p.points, f.goal_days, s.days from accounts a join progress p on p.account_id = a.id
         join preferences f on f.account_id = a.id join streaks s on s.account_id = a.id where a.email = $1`,
        [learner.email],
      );
    expect(await state()).to.deep.equal([{ points: 2, goal_days: 7, days: 1 }]);
    // An UPDATE that arrives must reach the new columns as an INSERT does.
    await learner.send('POST', '/api/progress', { lessonId: 'budget', answer: 1, key: randomUUID() });
    await learner.send('PATCH', '/api/preferences', { reminder: 'weekly', key: randomUUID() });
    await caughtUp('forward', fresh, old);
    expect(await state()).to.deep.equal([{ points: 10, goal_days: 1, days: 1 }]);

    const [seeded] = await query(
      fresh,
      'select count(*)::int as n, (select count(*)::int from streaks) as streaks from accounts',
    );
    expect(seeded?.['n']).to.equal(201);
    expect(seeded?.['streaks']).to.be.above(100);

    const streaks = seeded?.['streaks'] as number;
    await learner.send('DELETE', '/api/account');
    await caughtUp('forward', fresh, old);
    const [left] = await query(
      fresh,
      'select count(*)::int as n, (select count(*)::int from streaks) as streaks from accounts',
    );
    expect(left).to.deep.equal({ n: 200, streaks: streaks - 1 });
  });

  it('backward: what 2.0.0 writes fits the schema of 1.0.0, with a reminder that matches the goal', async () => {
    await unsubscribe('forward', fresh, old);
    await query(
      fresh,
      `select setval(format('%I.%I', schemaname, sequencename), 10000) from pg_sequences where schemaname = 'public'`,
    );
    const tables = await query(
      old,
      `select string_agg(format('%I (%s)', table_name, columns), ', ') as list from
         (select table_name, string_agg(quote_ident(column_name), ', ') as columns from information_schema.columns
          where table_schema = 'public' group by table_name) t`,
    );
    await subscribe('backward', old, fresh, `table ${String(tables[0]?.['list'])}`, false);

    const learner = await clientOf(await shop.serve(v2, fresh), shop.caFile);
    await learner.send('PATCH', '/api/preferences', { goalDays: 3, key: randomUUID() });
    await learner.send('POST', '/api/progress', { lessonId: 'risk', answer: 1, key: randomUUID() });
    await learner.send('POST', '/api/chat', { message: 'budget', key: randomUUID() });
    await caughtUp('backward', old, fresh);
    const back = await query(
      old,
      `select a.id > 10000 as numbered, f.reminder, p.best_score, (select count(*)::int from chat_messages c where c.account_id = a.id) as messages
       from accounts a join preferences f on f.account_id = a.id join progress p on p.account_id = a.id where a.email = $1`,
      [learner.email],
    );
    expect(back).to.deep.equal([{ numbered: true, reminder: 'weekly', best_score: 100, messages: 2 }]);

    await learner.send('DELETE', '/api/account');
    await caughtUp('backward', old, fresh);
    expect(
      await query(old, 'select 1 from chat_messages union all select 1 from accounts where email = $1', [
        learner.email,
      ]),
    ).to.deep.equal([]);
  });
});
