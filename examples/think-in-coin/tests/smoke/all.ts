import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { version } from '../../version.ts';
import { Client } from '../client.ts';

/** Reads only: also for a colour that is not live, whose database refuses writes. */
describe(`smoke test of ${version}`, () => {
  const client = new Client();

  it('answers as the version that was built', async () => {
    const { status, body } = await client.get('/api/version');
    assert.deepEqual([status, body], [200, { version }]);
  });

  it('serves the page of that version, and what it loads', async () => {
    const page = await client.get('/');
    assert.equal(page.status, 200);
    assert.ok(page.text.includes(`content="${version}"`), 'the page is of another version');
    for (const path of ['/app.js', '/edition.js', '/style.css', '/coin.svg'])
      assert.equal((await client.get(path)).status, 200, path);
  });

  it('lists lessons and shows one', async () => {
    const { status, body, text } = await client.get('/api/lessons');
    assert.equal(status, 200, text);
    const [lesson] = body['lessons'] as { id: string }[];
    assert.ok(lesson, 'there are no lessons');
    assert.equal((await client.get(`/api/lessons/${lesson.id}`)).status, 200);
  });

  it('searches, asks for prices, and keeps strangers out', async () => {
    assert.equal((await client.get('/api/search?q=risk')).status, 200);
    assert.equal((await client.get('/api/prices')).status, 200);
    assert.equal((await client.get('/api/account')).status, 401);
    assert.equal((await client.get('/nothing-here')).status, 404);
  });
});
