import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { editionAcceptance, somePreferences } from '#edition/acceptance.ts';
import { version } from '../../version.ts';
import { Client, goodPassword, newEmail, newLearner } from '../client.ts';

/** User-acceptance test of this version: what a learner can do, against a running release. */
describe(`acceptance of ${version}`, () => {
  it('is the version that was built', async () => {
    assert.equal((await new Client().get('/api/version')).body['version'], version);
  });

  it('shows the page', async () => {
    const page = await new Client().get('/');
    assert.equal(page.status, 200);
    assert.match(page.text, /Think in Coin/);
    assert.match(page.headers.get('content-security-policy') ?? '', /script-src 'self'/);
  });

  it('signs up, out, and in again', async () => {
    const { client, email } = await newLearner();
    assert.equal((await client.get('/api/account')).body['email'], email);
    assert.equal((await client.post('/api/logout', {})).status, 200);
    assert.equal((await client.get('/api/account')).status, 401);
    const back = await client.post('/api/login', { email, password: goodPassword });
    assert.equal(back.status, 200);
    const cookie = back.headers.getSetCookie().find((line) => line.startsWith('__Host-session='));
    assert.match(cookie ?? '', /HttpOnly; Secure; SameSite=Lax/);
    assert.equal((await client.get('/api/account')).body['name'], 'Test Learner');
  });

  it('refuses a second account for an address, and bad input', async () => {
    const { client, email } = await newLearner();
    const again = { email: email.toUpperCase(), name: 'Other', password: goodPassword };
    assert.equal((await client.post('/api/accounts', again)).status, 409);
    assert.equal((await client.post('/api/accounts', { ...again, email: newEmail(), password: 'short' })).status, 400);
    assert.equal((await client.send('POST', '/api/accounts', '{broken')).status, 400);
    assert.equal((await client.send('POST', '/api/chat', 'a=b', { 'content-type': 'text/plain' })).status, 415);
  });

  it('refuses writes from other sites', async () => {
    const { client } = await newLearner();
    const foreign = await client.send(
      'POST',
      '/api/chat',
      { message: 'x', key: randomUUID() },
      { origin: 'https://evil.invalid' },
    );
    assert.equal(foreign.status, 403);
  });

  it('limits wrong logins', async () => {
    const { client, email } = await newLearner();
    const statuses: number[] = [];
    for (let i = 0; i < 6; i += 1)
      statuses.push((await client.post('/api/login', { email, password: 'wrong, but long' })).status);
    assert.deepEqual(statuses, [401, 401, 401, 401, 401, 429]);
    const limited = await client.post('/api/login', { email, password: goodPassword });
    assert.equal(limited.status, 429);
    assert.ok(Number(limited.headers.get('retry-after')) > 0);
  });

  it('gives lessons, and keeps the best score', async () => {
    const { client } = await newLearner();
    const lessons = (await client.get('/api/lessons')).body['lessons'] as { id: string; bestScore: number | null }[];
    assert.ok(lessons.length >= 6);
    assert.equal(lessons[0]?.bestScore, null);
    const lesson = await client.get('/api/lessons/budget');
    assert.equal((lesson.body['options'] as string[]).length, 3);
    assert.equal(lesson.body['correct'], undefined);
    for (const [answer, score] of [
      [0, 20],
      [1, 100],
      [2, 20],
    ]) {
      const reply = await client.post('/api/progress', { lessonId: 'budget', answer, key: randomUUID() });
      assert.equal(reply.status, 201, reply.text);
      assert.equal(reply.body['score'], score);
    }
    const kept = (await client.get('/api/progress')).body['lessons'];
    assert.deepEqual(kept, [{ lessonId: 'budget', bestScore: 100, attempts: 3 }]);
    assert.equal((await client.post('/api/progress', { lessonId: 'none', answer: 0, key: randomUUID() })).status, 400);
  });

  it('finds lessons', async () => {
    const { body } = await new Client().get('/api/search?q=inflation');
    assert.ok((body['lessons'] as { id: string }[]).some((lesson) => lesson.id === 'inflation'));
    assert.deepEqual((await new Client().get("/api/search?q=' or '1'='1")).body['lessons'], []);
  });

  it('keeps preferences', async () => {
    const { client } = await newLearner();
    const saved = await client.patch('/api/preferences', { ...somePreferences, key: randomUUID() });
    assert.equal(saved.status, 200, saved.text);
    assert.deepEqual((await client.get('/api/preferences')).body, somePreferences);
    assert.equal(
      (await client.patch('/api/preferences', { ...somePreferences, theme: 'pink', key: randomUUID() })).status,
      400,
    );
  });

  it('chats, and remembers', async () => {
    const { client } = await newLearner();
    const reply = await client.post('/api/chat', { message: 'What about <b>inflation</b>?', key: randomUUID() });
    assert.match(String(reply.body['answer']), /real return/);
    const messages = (await client.get('/api/chat')).body['messages'] as { author: string; body: string }[];
    assert.deepEqual(
      messages.map((m) => m.author),
      ['learner', 'coach'],
    );
    assert.equal((await new Client().get('/api/chat')).status, 401);
  });

  it('says what the price feed says, or that it is down', async () => {
    const { status, body } = await new Client().get('/api/prices');
    assert.equal(status, 200);
    if (body['available'] === true) assert.ok((body['prices'] as unknown[]).length > 0);
    else assert.match(String(body['reason']), /feed/);
  });

  it('erases an account with everything in it', async () => {
    const { client, email } = await newLearner();
    await client.post('/api/chat', { message: 'budget', key: randomUUID() });
    await client.post('/api/progress', { lessonId: 'risk', answer: 1, key: randomUUID() });
    const other = new Client();
    await other.post('/api/login', { email, password: goodPassword });
    assert.equal((await client.send('DELETE', '/api/account')).status, 204);
    assert.equal((await other.get('/api/account')).status, 401);
    assert.equal((await client.post('/api/login', { email, password: goodPassword })).status, 401);
    // The address is free again: nothing of the old account comes back with it.
    await client.post('/api/accounts', { email, name: 'New Learner', password: goodPassword });
    assert.deepEqual((await client.get('/api/chat')).body['messages'], []);
    assert.deepEqual((await client.get('/api/progress')).body['lessons'], []);
  });

  editionAcceptance();
});
