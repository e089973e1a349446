import { expect } from 'chai';
import { maskDatabase } from '../../../../../automation/data/masking/mask.ts';
import type { MaskRule } from '../../../../../automation/data/masking/rules.ts';
import { createRig, value, type Rig } from '../rig.ts';

describe('masked values', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const one = <T = unknown>(sql: string): Promise<T> => value<T>(rig.blue, sql);
  const list = (column: string, table = 'people'): Promise<string[]> =>
    one<string[]>(`SELECT array_agg(${column}::text ORDER BY id) FROM ${table}`);
  const mask = (rules: MaskRule[], secret = 'a secret') => maskDatabase(rig.blue.access, rules, secret);

  it('keep the formats of addresses, names, numbers and dates', async () => {
    await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, email text, name text, phone text, card text, iban text, address inet, host text,
        born date, seen timestamptz, code uuid, tax bigint, token bytea);
      INSERT INTO people VALUES
        (1, 'anna@corp.example', 'Anna Miller', '+49 (151) 2345-678', '4539 1488 0343 6467', 'DE89 3704 0044 0532 0130 00', '81.2.69.142', '2001:db8::7', '1984-02-29', '2024-05-06 07:08:09Z', '7f1c0a52-8a0b-4f3e-9d3a-0a1b2c3d4e5f', 12345678901, '\\x0102030405060708090a0b0c0d0e0f1011121314'),
        (2, 'bob@corp.example', 'BOB STONE', '0151 2345678', '378282246310005', 'GB29NWBK60161331926819', '2001:db8::1/64', '81.2.69.142', '2010-01-01', 'infinity', '018f3c52-8a0b-7f3e-8d3a-0a1b2c3d4e5f', 5, NULL);`);
    const before = { phone: await list('phone'), born: await list('born'), code: await list('code') };
    await mask([
      { table: 'people', column: 'email', with: 'email' },
      { table: 'people', column: 'name', with: 'name' },
      { table: 'people', column: 'phone', with: 'digits' },
      { table: 'people', column: 'card', with: 'card' },
      { table: 'people', column: 'iban', with: 'iban' },
      { table: 'people', column: 'address', with: 'ip' },
      { table: 'people', column: 'host', with: 'ip' },
      { table: 'people', column: 'born', with: 'date' },
      { table: 'people', column: 'seen', with: 'date' },
      { table: 'people', column: 'code', with: 'hash' },
      { table: 'people', column: 'tax', with: 'digits' },
      { table: 'people', column: 'token', with: 'hash' },
    ]);
    for (const email of await list('email')) expect(email).to.match(/^user-[0-9a-f]{16}@example\.invalid$/);
    const [first, second] = await list('name');
    expect(first).to.match(/^[A-Z][a-z]{5} [A-Z][a-z]{14}$/);
    expect(second).to.match(/^[A-Z]{6} [A-Z]{15}$/);
    const phones = await list('phone');
    const layout = (text: string): string => text.replaceAll(/\d/g, '#');
    expect(phones.map(layout)).to.deep.equal(before.phone.map(layout));
    expect(phones).not.to.have.members(before.phone);
    for (const card of await list('card')) expect(luhn(card), card).to.equal(0);
    expect((await list('card')).map((c) => c[0])).to.deep.equal(['4', '3']);
    for (const iban of await list('iban')) expect(mod97(iban), iban).to.equal(1n);
    expect(await list('iban')).to.satisfy(
      ([de, gb]: string[]) => /^DE\d\d( \d{4}){4} \d\d$/.test(de ?? '') && /^GB\d\dNWBK\d{14}$/.test(gb ?? ''),
    );
    expect(await one(`SELECT bool_and(address <<= '10.0.0.0/8' OR address <<= 'fd00::/8') FROM people`)).to.equal(true);
    expect(await one('SELECT masklen(address) FROM people WHERE id = 2')).to.equal(64);
    expect(
      await one(`SELECT (SELECT host FROM people WHERE id = 2) = (SELECT host(address) FROM people WHERE id = 1)`),
    ).to.equal(true);
    expect(await one(`SELECT bool_and(host::inet IS NOT NULL) FROM people`)).to.equal(true);
    const born = await list('born');
    born.forEach((day, at) => {
      const days = (Date.parse(before.born[at] ?? '') - Date.parse(day)) / 86_400_000;
      expect(days).to.be.within(1, 365);
    });
    expect(await one(`SELECT seen < '2024-05-06 07:08:09Z' AND seen > '2023-05-01' FROM people WHERE id = 1`)).to.equal(
      true,
    );
    expect(await one(`SELECT seen::text FROM people WHERE id = 2`)).to.equal('infinity');
    const codes = await list('code');
    expect(codes.map((c) => [c[14], c[19]])).to.deep.equal([
      ['4', '9'],
      ['7', '8'],
    ]);
    expect(codes).not.to.include(before.code[0]);
    expect((await list('tax')).map((t) => t.length)).to.deep.equal([11, 1]);
    expect(await list('tax')).not.to.include('12345678901');
    expect(await one('SELECT length(token) FROM people WHERE id = 1')).to.equal(20);
  });

  it('are the same for the same value in every table and run, and others under another secret', async () => {
    const people = `CREATE EXTENSION IF NOT EXISTS citext;
      CREATE TABLE people (id int PRIMARY KEY, email text, short varchar(40));
      CREATE TABLE letters (id int PRIMARY KEY, to_address citext, copies text[], fixed char(40));
      INSERT INTO people VALUES (1, 'anna@corp.example', 'anna@corp.example'), (2, 'Bob@Corp.example', 'BOB@corp.example');
      INSERT INTO letters VALUES (1, 'ANNA@corp.example', '{anna@corp.example,NULL,bob@corp.example}', 'anna@corp.example'), (2, 'bob@corp.example', NULL, 'x');`;
    const rules: MaskRule[] = [
      { table: 'people', column: 'email', with: 'email' },
      { table: 'people', column: 'short', with: 'email' },
      { table: 'letters', column: 'to_address', with: 'email' },
      { table: 'letters', column: 'copies', with: 'email' },
      { table: 'letters', column: 'fixed', with: 'email' },
    ];
    const masked = async (secret: string) => {
      await rig.fresh('SELECT 1');
      await rig.run(rig.blue, people);
      await mask(rules, secret);
      return await list('email');
    };
    const first = await masked('a secret');
    expect(
      await one('SELECT count(*)::int FROM people p JOIN letters l ON l.to_address = p.email::citext AND l.id = p.id'),
    ).to.equal(2);
    expect(
      await one(
        'SELECT count(*)::int FROM people p JOIN letters l ON l.id = p.id WHERE lower(p.email) = lower(l.to_address::text) AND lower(p.short) = lower(p.email)',
      ),
    ).to.equal(2);
    expect(
      await one(
        'SELECT l.copies[1] = p.email AND l.copies[2] IS NULL AND lower(l.copies[3]) = (SELECT lower(email) FROM people WHERE id = 2) AND l.fixed = p.email FROM people p JOIN letters l USING (id) WHERE id = 1',
      ),
    ).to.equal(true);
    expect(await masked('a secret')).to.deep.equal(first);
    expect(await masked('another one')).not.to.have.members(first);
  });

  it('stay unique under every kind of unique index', async () => {
    await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, email varchar(60) NOT NULL, phone text UNIQUE, name text, tenant int, gone boolean NOT NULL, pin int);
      INSERT INTO people SELECT i, CASE WHEN i % 100 = 0 THEN 'USER' || (i - 1) ELSE 'user' || i END || '@corp.example', lpad((i * 7)::text, 6, '0'), 'name ' || i / 2, i % 2, i % 3 = 0, 1000 + i FROM generate_series(1, 5000) i;
      CREATE UNIQUE INDEX ON people (email); CREATE UNIQUE INDEX ON people (lower(email), (id % 100)); CREATE UNIQUE INDEX ON people (tenant, name);
      CREATE UNIQUE INDEX ON people (name) WHERE tenant = 0; CREATE UNIQUE INDEX ON people (pin) INCLUDE (name);
      ALTER TABLE people ADD EXCLUDE USING hash (phone WITH =) WHERE (gone);`);
    await mask([
      { table: 'people', column: 'email', with: 'email' },
      { table: 'people', column: 'phone', with: 'digits' },
      { table: 'people', column: 'name', with: 'name' },
      { table: 'people', column: 'pin', with: 'digits' },
    ]);
    const counts = await one(
      'SELECT ARRAY[count(DISTINCT email), count(DISTINCT lower(email)), count(DISTINCT phone), count(DISTINCT name), count(DISTINCT pin)]::int[] FROM people',
    );
    expect(counts).to.deep.equal([5000, 4950, 5000, 2501, 5000]);
    expect(
      await one('SELECT min(length(phone)) = 6 AND max(length(phone)) = 6 AND min(pin) >= 1000 FROM people'),
    ).to.equal(true);
  });

  it('stay unique where new values are old ones of other rows, also if a view keeps the table from being rewritten', async () => {
    await rig.fresh(`CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, pin char(4) UNIQUE, pins text GENERATED ALWAYS AS (pin || '!') STORED, code int UNIQUE);
      INSERT INTO people (pin, code) SELECT lpad(i::text, 4, '0'), 1000 + i % 9000 + CASE WHEN i > 8999 THEN 10000 ELSE 0 END FROM generate_series(0, 9999) i;
      CREATE VIEW pins AS SELECT pin, code FROM people; CREATE TABLE doors (id int, pin char(4) REFERENCES people (pin), opened int REFERENCES people);
      INSERT INTO doors SELECT id, pin, id FROM people;`);
    await mask([
      { table: 'people', column: 'pin', with: 'digits' },
      { table: 'people', column: 'code', with: 'digits' },
      { table: 'doors', column: 'pin', with: 'digits' },
    ]);
    const counts =
      'count(DISTINCT pin), count(DISTINCT code), count(DISTINCT id), count(*) FILTER (WHERE pins = pin || $$!$$)';
    expect(await one(`SELECT ARRAY[${counts}]::int[] FROM people`)).to.deep.equal([10_000, 10_000, 10_000, 10_000]);
    const joined = 'SELECT count(*)::int FROM doors d JOIN people p ON p.pin = d.pin AND p.id = d.opened';
    expect(await one(joined)).to.equal(10_000);
    expect(await one(`SELECT count(*)::int FROM people WHERE pin::int = id - 1`)).to.be.lessThan(20);
  });

  it('stay within the lengths of their columns, domains and elements, and equal across them [K6]', async () => {
    await rig.fresh(`CREATE DOMAIN short AS varchar(20) NOT NULL; CREATE DOMAIN shorter AS short; CREATE DOMAIN names AS varchar(12)[];
      CREATE TABLE people (id int PRIMARY KEY, email short, copy text, other shorter, aliases names, nick varchar(9), code char(10) UNIQUE, note varchar(5) COLLATE "C");
      INSERT INTO people SELECT i, 'u' || i || '@corp.example', 'u' || i || '@corp.example', 'x', ARRAY['alias' || i, 'b'], 'nick' || i, 'code' || i, 'note' FROM generate_series(1, 200) i;`);
    await mask([
      { table: 'people', column: 'email', with: 'email' },
      { table: 'people', column: 'copy', with: 'email' },
      { table: 'people', column: 'other', with: 'hash' },
      { table: 'people', column: 'aliases', with: 'name' },
      { table: 'people', column: 'nick', with: 'name' },
      { table: 'people', column: 'code', with: 'hash' },
      { table: 'people', column: 'note', with: 'text' },
    ]);
    expect(await one(`SELECT bool_and(email = copy AND email ~ '^[0-9a-f]{10}@x\\.invalid$') FROM people`)).to.equal(
      true,
    );
    expect(await one('SELECT count(DISTINCT email)::int FROM people')).to.equal(200);
    expect(
      await one(`SELECT max(length(nick)) = 9 AND max(length(aliases[1])) = 9 AND max(length(note)) = 5 FROM people`),
    ).to.equal(true);
    expect(
      await one(
        `SELECT collation_name FROM information_schema.columns WHERE table_name = 'people' AND column_name = 'note'`,
      ),
    ).to.equal('C');
  });

  it('stand at their paths in documents, whose other parts stay', async () => {
    await rig.fresh(`CREATE TABLE people (id int PRIMARY KEY, email text, profile jsonb, log json, everything jsonb);
      INSERT INTO people VALUES (1, 'anna@corp.example', '{"contact": {"email": "anna@corp.example", "phones": ["0151 234567", "0151 234568"]}, "age": 7, "friends": [{"mail": "anna@corp.example", "since": 2001}, {"mail": null}]}',
        '[{"who": "Anna Miller", "what": "login"}]', '{"a": ["anna@corp.example", 3, true, null], "b": {"c": "personal text"}}'), (2, NULL, '[]', 'null', '"alone as a text"'), (3, '', '{}', NULL, NULL);`);
    await mask([
      { table: 'people', column: 'email', with: 'email' },
      { table: 'people', column: 'profile', path: 'contact.email', with: 'email' },
      { table: 'people', column: 'profile', path: 'contact.phones', with: 'digits' },
      { table: 'people', column: 'profile', path: 'friends.*.mail', with: 'email' },
      { table: 'people', column: 'log', path: 'who', with: 'name' },
      { table: 'people', column: 'everything', with: 'hash' },
    ]);
    const email = await one<string>('SELECT email FROM people WHERE id = 1');
    const profile = await one<Record<string, Record<string, unknown>>>('SELECT profile FROM people WHERE id = 1');
    expect(profile['contact']?.['email']).to.equal(email);
    expect(profile['contact']?.['phones']).to.satisfy(
      (p: string[]) => p.length === 2 && p.every((n) => /^\d{4} \d{6}$/.test(n)) && p[0] !== p[1],
    );
    expect(profile['age']).to.equal(7);
    expect(profile['friends']).to.deep.equal([{ mail: email, since: 2001 }, { mail: null }]);
    expect(await one('SELECT log FROM people WHERE id = 1')).to.satisfy(
      (l: { who: string; what: string }[]) => l[0]?.what === 'login' && /^\w{6} \w{15}$/.test(l[0].who),
    );
    expect(await one('SELECT everything FROM people WHERE id = 1')).to.satisfy(
      (e: { a: unknown[]; b: { c: string } }) =>
        /^[0-9a-f]{64}$/.test(String(e.a[0])) &&
        e.a[1] === 3 &&
        e.a[2] === true &&
        e.a[3] === null &&
        /^[0-9a-f]{64}$/.test(e.b.c),
    );
    expect(await one('SELECT everything FROM people WHERE id = 2')).to.match(/^[0-9a-f]{64}$/);
    expect(await one('SELECT email FROM people WHERE id = 3')).to.equal('');
  });
});

function luhn(card: string): number {
  const digits = [...card.replaceAll(/\D/g, '')].reverse().map(Number);
  return digits.reduce((sum, d, at) => sum + (at % 2 === 0 ? d : d > 4 ? 2 * d - 9 : 2 * d), 0) % 10;
}

function mod97(iban: string): bigint {
  const plain = iban.replaceAll(' ', '');
  const moved = plain.slice(4) + plain.slice(0, 4);
  return BigInt([...moved].map((c) => (/\d/.test(c) ? c : String(c.charCodeAt(0) - 55))).join('')) % 97n;
}
