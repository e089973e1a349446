import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { somePreferences } from '#edition/acceptance.ts';
import { Client, goodPassword, newEmail, newLearner } from '../client.ts';
import { start, type Service } from './service.ts';

/** The api as a process, with a real database: what cannot be seen from outside a release. */
const database = process.env['DATABASE_URL'] ?? '';

describe('api with its database', () => {
  let db: pg.Client;
  let feed: Service;
  let api: Service;

  before(async () => {
    assert.ok(database, 'DATABASE_URL is missing: give an empty, migrated database');
    db = new pg.Client({ connectionString: database });
    await db.connect();
    feed = await start('price-feed.mjs');
    api = await start('api.mjs', { PRICE_FEED_URL: feed.url });
  });

  after(async () => {
    await Promise.all([api.stop(), feed.stop()]);
    await db.end();
  });

  const count = async (sql: string, ...values: unknown[]): Promise<number> =>
    Number((await db.query<{ n: string }>(`select count(*) as n from ${sql}`, values)).rows[0]?.n);

  it('is healthy, and passes on the prices of the feed', async () => {
    const client = new Client(api.url);
    assert.equal((await client.get('/healthz')).status, 200);
    const { body } = await client.get('/api/prices');
    assert.deepEqual([body['available'], body['source']], [true, 'stand-in']);
  });

  it('stores neither passwords nor session tokens', async () => {
    const { client, email } = await newLearner(api.url);
    const { rows } = await db.query<{ row: string }>(
      'select a::text || s::text as row from accounts a join sessions s on s.account_id = a.id where email = $1',
      [email],
    );
    assert.equal(rows.length, 1);
    assert.ok(!rows[0]?.row.includes(goodPassword));
    assert.ok(!rows[0]?.row.includes(client.cookies.get('__Host-session') ?? 'none'));
  });

  it('stores every write once, with its key', async () => {
    const { client } = await newLearner(api.url);
    const keys = [randomUUID(), randomUUID(), randomUUID()];
    await client.post('/api/progress', { lessonId: 'risk', answer: 1, key: keys[0] });
    await client.post('/api/chat', { message: 'debt', key: keys[1] });
    await client.patch('/api/preferences', { ...somePreferences, key: keys[2] });
    assert.equal(await count('progress_events where key = $1', keys[0]), 1);
    assert.equal(await count('chat_messages where key = $1', keys[1]), 1);
    assert.equal(await count('preference_changes where key = $1', keys[2]), 1);
  });

  it('counts parallel wrong logins too', async () => {
    const email = newEmail();
    // On a busy machine some wait too long for a connection: 503 with Retry-After, and perhaps counted already.
    const guess = async (): Promise<number> => {
      const { status } = await new Client(api.url).post('/api/login', { email, password: 'a wrong password' });
      return status === 503 ? wait(1_000).then(guess) : status;
    };
    const statuses = await Promise.all(Array.from({ length: 12 }, guess));
    const looked = statuses.filter((status) => status === 401).length;
    assert.ok(looked <= 5, `${looked} passwords were looked at`);
    assert.equal(statuses.filter((status) => status === 429).length, 12 - looked);
    assert.equal(await guess(), 429);
  });

  it('erases every row of an account', async () => {
    const { client, email } = await newLearner(api.url);
    const { rows } = await db.query<{ id: string }>('select id from accounts where email = $1', [email]);
    await client.post('/api/progress', { lessonId: 'risk', answer: 1, key: randomUUID() });
    await client.post('/api/chat', { message: 'debt', key: randomUUID() });
    await new Client(api.url).post('/api/login', { email, password: 'a wrong password' });
    const attempts = await count('login_attempts where email_hash is not null');
    await client.send('DELETE', '/api/account');
    const tables = await db.query<{ name: string }>(
      "select table_name as name from information_schema.columns where table_schema = 'public' and column_name = 'account_id'",
    );
    assert.ok(tables.rows.length >= 5);
    for (const { name } of tables.rows)
      assert.equal(await count(`${pg.escapeIdentifier(name)} where account_id = $1`, rows[0]?.id), 0, name);
    assert.equal(await count('accounts where email = $1', email), 0);
    assert.equal(await count('login_attempts where email_hash is not null'), attempts - 2);
  });

  it('never writes when it reads; says 503 to a write where it may not', async () => {
    const { client } = await newLearner(api.url);
    const fenced = new URL(database);
    fenced.searchParams.set('options', '-c default_transaction_read_only=on');
    const reader = await start('api.mjs', { DATABASE_URL: fenced.href, PRICE_FEED_URL: feed.url });
    try {
      const there = new Client(reader.url);
      for (const [name, value] of client.cookies) there.cookies.set(name, value);
      for (const path of [
        'lessons',
        'lessons/risk',
        'progress',
        'preferences',
        'chat',
        'account',
        'session',
        'search?q=a',
        'prices',
        'version',
      ])
        assert.equal((await there.get(`/api/${path}`)).status, 200, path);
      const refused = await there.post('/api/chat', { message: 'debt', key: randomUUID() });
      assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
    } finally {
      await reader.stop();
    }
  });

  it('survives the loss of its connections', async () => {
    const client = new Client(api.url);
    assert.equal((await client.get('/api/lessons')).status, 200);
    await db.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'think-in-coin' and pid <> pg_backend_pid()",
    );
    assert.equal((await client.get('/api/lessons')).status, 200);
    assert.equal(api.process.exitCode, null);
  });

  it('answers 503 without a database, and lessons go on without prices', async () => {
    const lost = new URL(database);
    lost.hostname = '127.0.0.1';
    lost.port = '1';
    const alone = await start('api.mjs', { DATABASE_URL: lost.href, PRICE_FEED_URL: 'http://127.0.0.1:1' });
    try {
      const client = new Client(alone.url);
      assert.equal((await client.get('/healthz')).status, 503);
      assert.equal((await client.get('/api/lessons')).status, 503);
      const { status, body } = await client.get('/api/prices');
      assert.deepEqual([status, body['available']], [200, false]);
    } finally {
      await alone.stop();
    }
  });

  it('finishes what is in flight on SIGTERM, and ends with 0', async () => {
    const service = await start('api.mjs', { PRICE_FEED_URL: feed.url });
    const body = JSON.stringify({ email: newEmail(), name: 'Late', password: goodPassword });
    const headers = { 'content-type': 'application/json', 'content-length': body.length, expect: '100-continue' };
    const signUp = request(new URL('/api/accounts', service.url), { method: 'POST', headers });
    signUp.flushHeaders();
    // The service has the request now, and waits for its body.
    await once(signUp, 'continue');
    const ended = service.stop();
    while (
      await fetch(new URL('/healthz', service.url)).then(
        () => true,
        () => false,
      )
    )
      await wait(10);
    signUp.end(body);
    const [response] = (await once(signUp, 'response')) as [IncomingMessage];
    response.resume();
    assert.equal(response.statusCode, 201);
    assert.equal(await ended, 0);
  });
});
