import { expect } from 'chai';
import { judgeDoor, judgeLogins, unknown } from '../../../../../automation/gates/web/authentication.ts';
import { worst } from '../../../../../automation/journal/verdict.ts';
import { judgePage, problemsOf } from '../../../../../automation/gates/web/headers.ts';
import { judgeCertificate, judgeOldVersion, judgeRedirect } from '../../../../../automation/gates/web/tls.ts';

const good = {
  'content-type': 'text/html',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'content-security-policy': "default-src 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'same-origin',
  'set-cookie': ['session=abc; Secure; HttpOnly; SameSite=Lax'],
};

describe('security headers', () => {
  it('pass when all are there', () => expect(problemsOf(good)).to.deep.equal([]));

  const faults: [string, Record<string, string | string[] | undefined>, string][] = [
    ['no HSTS', { 'strict-transport-security': undefined }, 'Strict-Transport-Security'],
    ['HSTS for a minute', { 'strict-transport-security': 'max-age=60' }, 'Strict-Transport-Security'],
    ['no policy', { 'content-security-policy': undefined, 'x-frame-options': 'DENY' }, 'Content-Security-Policy with'],
    [
      'inline scripts',
      { 'content-security-policy': "script-src 'self' 'unsafe-inline'; frame-ancestors 'self'" },
      'unsafe-inline',
    ],
    ['scripts from everywhere', { 'content-security-policy': "script-src *; frame-ancestors 'self'" }, 'everywhere'],
    [
      'a later directive that would hide an earlier one',
      { 'content-security-policy': "script-src 'unsafe-inline'; script-src 'self'; frame-ancestors 'self'" },
      'unsafe-inline',
    ],
    ['sniffing', { 'x-content-type-options': undefined }, 'nosniff'],
    ['framing', { 'content-security-policy': "default-src 'self'" }, 'frame protection'],
    ['a leaking referrer', { 'referrer-policy': 'unsafe-url' }, 'Referrer-Policy'],
    ['a banner', { server: 'nginx/1.18.0' }, 'banner'],
    ['X-Powered-By', { 'x-powered-by': 'Express' }, 'X-Powered-By'],
    ['an open cookie', { 'set-cookie': ['id=1; SameSite=None'] }, 'cookie id without secure, httponly, samesite'],
  ];
  for (const [what, change, found] of faults) {
    it(`find ${what}`, () => expect(problemsOf({ ...good, ...change }).join()).to.contain(found));
  }

  it('let a nonce stand for inline scripts', () => {
    expect(
      problemsOf({
        ...good,
        'content-security-policy': "script-src 'nonce-x' 'unsafe-inline'; frame-ancestors 'self'",
      }),
    ).to.deep.equal([]);
  });

  it('are not judged on a page that is not there', () => {
    expect(judgePage('/nowhere', { status: 404, headers: good }).verdict).to.equal('inconclusive');
  });
});

describe('authentication', () => {
  const door = { path: '/me', stranger: 401, forgedCookie: 401, forgedToken: 403 };
  const answer = (status: number, body = 'no') => ({ status, body });

  it('wants 401 or 403 at every door, whatever is forged', () => {
    expect(judgeDoor(door).verdict).to.equal('pass');
    expect(judgeDoor({ ...door, forgedToken: 200 }).verdict).to.equal('fail');
    expect(judgeDoor({ ...door, stranger: 302 }).verdict).to.equal('fail');
    expect(judgeDoor({ ...door, stranger: 404 }).verdict).to.equal('inconclusive');
    expect(judgeDoor({ ...door, stranger: 500 }).verdict).to.equal('inconclusive');
  });

  const verdict = (unknownAccount: number, attempts: number[], bodies = ['no', 'no']) =>
    worst(
      judgeLogins(
        { unknownAccount: answer(unknownAccount, bodies[0]), attempts: attempts.map((s) => answer(s, bodies[1])) },
        3,
      ).map((m) => m.verdict),
    );

  it('wants 429 in time', () => {
    expect(verdict(401, [401, 401, 401, 429])).to.equal('pass');
    expect(verdict(401, [401, 401, 401, 401])).to.equal('fail');
  });

  it('wants one answer for an unknown account and for a wrong password', () => {
    expect(verdict(404, [401, 429])).to.equal('inconclusive');
    expect(verdict(403, [401, 429])).to.equal('fail');
    expect(verdict(401, [401, 429], ['no such user', 'wrong password'])).to.equal('fail');
  });

  it('fails when a wrong login is accepted', () => expect(verdict(401, [200])).to.equal('fail'));

  it('does not take a broken or limited login for a safe one', () => {
    expect(verdict(500, [500, 500, 500, 500])).to.equal('inconclusive');
    expect(verdict(429, [429])).to.equal('inconclusive');
  });

  it('makes an account that nobody has, and keeps the password', () => {
    const { email, password } = unknown({ email: 'a@b.example', password: 'wrong' });
    expect(email).to.match(/^nobody-.*@example\.com$/);
    expect(password).to.equal('wrong');
  });
});

describe('judging TLS', () => {
  const now = new Date('2026-06-01T00:00:00Z');
  const verdict = (handshake: object) => worst(judgeCertificate(handshake, now).map((m) => m.verdict));

  it('wants a verified certificate with two weeks left', () => {
    expect(verdict({ version: 'TLSv1.3', validTo: 'Jun 20 00:00:00 2026 GMT' })).to.equal('pass');
    expect(verdict({ version: 'TLSv1.3', validTo: 'Jun 14 00:00:00 2026 GMT' })).to.equal('fail');
    expect(verdict({ version: 'TLSv1.3', validTo: undefined })).to.equal('inconclusive');
    expect(verdict({ code: 'CERT_HAS_EXPIRED', message: 'x' })).to.equal('fail');
    expect(verdict({ code: 'ECONNREFUSED', message: 'x' })).to.equal('error');
  });

  it('takes only a refusal by the server for a refusal', () => {
    expect(judgeOldVersion('TLSv1.1', { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })).to.include({
      verdict: 'pass',
      name: 'TLS 1.1 offered',
    });
    expect(judgeOldVersion('TLSv1', { version: 'TLSv1' })).to.include({ verdict: 'fail', name: 'TLS 1.0 offered' });
    expect(judgeOldVersion('TLSv1', { code: 'ERR_SSL_NO_PROTOCOLS_AVAILABLE' }).verdict).to.equal('inconclusive');
    expect(judgeOldVersion('TLSv1', { code: 'ETIMEDOUT' }).verdict).to.equal('inconclusive');
  });

  it('wants plain HTTP to lead to HTTPS on the same host', () => {
    expect(judgeRedirect({ status: 301, location: 'https://localhost:8443/' }, 'localhost').verdict).to.equal('pass');
    expect(judgeRedirect({ status: 301, location: 'http://localhost/' }, 'localhost').verdict).to.equal('fail');
    expect(judgeRedirect({ status: 301, location: 'https://elsewhere/' }, 'localhost').verdict).to.equal('fail');
    expect(judgeRedirect({ status: 200, location: undefined }, 'localhost').verdict).to.equal('fail');
  });
});
