import { expect } from 'chai';
import { createRedactor } from '../../../../infra/lib/redact.ts';

describe('redaction of secrets', () => {
  const nasty = [
    'p"ass\\word',
    'pässwörd-日本',
    'top line\nsecond line',
    "it's a (secret)!*",
    'a b+c&d=e/f',
    '$& $1 [x]{y}',
  ];

  for (const secret of nasty) {
    it(`masks ${JSON.stringify(secret)} raw, in JSON and in a URL`, () => {
      const redactor = createRedactor();
      redactor.register(secret);
      const forms = [
        secret,
        JSON.stringify({ password: secret }),
        JSON.stringify(JSON.stringify({ password: secret })),
        `https://user:${encodeURIComponent(secret)}@host/`,
        new URLSearchParams({ q: secret }).toString(),
      ];
      for (const form of forms) {
        const text = redactor.redact(`before ${form} after`);
        expect(text)
          .to.include('***')
          .and.to.match(/^before .* after$/s);
        expect(text).not.to.include(secret);
        expect(text).not.to.include(encodeURIComponent(secret));
        expect(text).not.to.include(JSON.stringify(secret).slice(1, -1));
      }
    });
  }

  it('masks each line of a secret of several lines, as logs are read by lines', () => {
    const redactor = createRedactor();
    redactor.register('-----BEGIN PRIVATE KEY-----\nMIIabcdef\n-----END PRIVATE KEY-----\n');
    expect(redactor.redact('log: MIIabcdef')).to.equal('log: ***');
    expect(redactor.redact('-----BEGIN PRIVATE KEY-----')).to.equal('-----BEGIN PRIVATE KEY-----');
  });

  it('masks the longer of two secrets whole', () => {
    const redactor = createRedactor();
    redactor.register('secret');
    redactor.register('secret-and-more');
    expect(redactor.redact('x secret-and-more y')).to.equal('x *** y');
  });

  it('ignores values shorter than six characters', () => {
    const redactor = createRedactor();
    redactor.register('green');
    redactor.register('');
    expect(redactor.redact('green')).to.equal('green');
  });

  it('masks strings and keys deep inside data, and leaves everything else', () => {
    const redactor = createRedactor();
    redactor.register('hunter22');
    expect(redactor.redactDeep({ a: ['hunter22', 1, null, true], b: { hunter22: 'x hunter22' } })).to.deep.equal({
      a: ['***', 1, null, true],
      b: { '***': 'x ***' },
    });
  });
});
