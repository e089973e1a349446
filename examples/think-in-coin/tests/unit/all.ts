import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { describe, it } from 'node:test';
import { coach } from '../../api/coach.ts';
import { choice, email, integer, key, password, text } from '../../api/input.ts';
import { clientAddress } from '../../api/login-limits.ts';
import { hashPassword, verifyPassword } from '../../api/passwords.ts';
import { databaseFailure } from '../../api/database.ts';
import { people } from '../../seed/people.ts';
import { securityHeaders } from '../../security-headers.ts';

const request = (headers: Record<string, string>): IncomingMessage =>
  ({ headers, socket: { remoteAddress: '10.0.0.1' } }) as unknown as IncomingMessage;

describe('passwords', () => {
  it('accepts the right one only, and salts', async () => {
    const [one, two] = await Promise.all([hashPassword('correct horse'), hashPassword('correct horse')]);
    assert.notEqual(one, two);
    assert.equal(await verifyPassword('correct horse', one), true);
    assert.equal(await verifyPassword('correct horsf', one), false);
  });
  it('refuses a stored value that is no hash', async () => assert.equal(await verifyPassword('x', 'plain'), false));
});

describe('input', () => {
  it('takes addresses in lower case, and nothing else', () => {
    assert.equal(email({ email: ' Mila@Example.invalid ' }), 'mila@example.invalid');
    for (const bad of ['mila', 'a b@c.de', '<x>@c.de', 'a@b', 7, undefined])
      assert.throws(() => email({ email: bad }), { status: 400 });
  });
  it('bounds lengths, numbers and choices', () => {
    assert.throws(() => text({ name: '   ' }, 'name', 1, 80), { status: 400 });
    assert.throws(() => text({ name: 'a\u0000b' }, 'name', 1, 80), { status: 400 });
    assert.throws(() => password({ password: 'short' }), { status: 400 });
    assert.throws(() => integer({ n: 1.5 }, 'n', 0, 9), { status: 400 });
    assert.throws(() => choice({ c: 'toString' }, 'c', ['a']), { status: 400 });
    assert.throws(() => key({ key: 'not-a-uuid' }), { status: 400 });
  });
});

describe('client address', () => {
  it('trusts the last hop alone', () => {
    assert.equal(clientAddress(request({ 'x-forwarded-for': '6.6.6.6, 192.0.2.7' })), '192.0.2.7');
    assert.equal(clientAddress(request({})), '10.0.0.1');
  });
});

describe('coach', () => {
  it('answers by topic, and says so where it cannot', () => {
    assert.match(coach('How do I BUDGET?'), /50\/30\/20/);
    assert.match(coach('Will it rain?'), /no personal advice/);
  });
});

describe('database errors', () => {
  it('says 503 where trying again helps, and never tells details', () => {
    const of = (code: string) => databaseFailure(Object.assign(new Error('secret detail'), { code }));
    assert.deepEqual(
      [of('57P01').status, of('ECONNREFUSED').status, of('42501').status, of('23505').status],
      [503, 503, 503, 500],
    );
    assert.doesNotMatch(of('23505').message, /secret/);
  });
});

describe('seed', () => {
  it('gives the same people for the same seed, and unique addresses', () => {
    assert.deepEqual(people(1, 10, 5), people(1, 0, 15).slice(10));
    assert.notDeepEqual(people(1, 0, 5), people(2, 0, 5));
    assert.equal(new Set(people(1, 0, 2000).map((p) => p.email)).size, 2000);
  });
});

describe('security headers', () => {
  it('allow nothing inline and no framing', () => {
    const policy = securityHeaders['content-security-policy'] ?? '';
    assert.doesNotMatch(policy, /unsafe/);
    assert.match(policy, /default-src 'none'.*frame-ancestors 'none'/);
  });
});
