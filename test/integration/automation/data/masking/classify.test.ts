import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { classify, describeSuspect, requireClassified } from '../../../../../automation/data/masking/classify.ts';
import { maskDatabase } from '../../../../../automation/data/masking/mask.ts';
import type { Harmless, MaskRule } from '../../../../../automation/data/masking/rules.ts';
import { findUnmasked } from '../../../../../automation/data/masking/unmasked.ts';
import { copyDatabase } from '../../../../../automation/data/copying/schema.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { releaseDefinition } from '../../../../../automation/config/schema.ts';
import definition from '../../../../../greenlight.config.ts';
import { createRig, value, type Rig } from '../rig.ts';

describe('personal data of a database', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const suspects = async (rules: MaskRule[] = [], harmless: Harmless[] = []): Promise<string[]> =>
    (await classify(rig.blue.access, rules, harmless)).suspects.map(describeSuspect);

  const shop = `CREATE SCHEMA crm; CREATE DOMAIN contact AS text;
    CREATE TABLE people (id int, email text, "Vorname" text, notes text, sent_at timestamptz, likes text[]);
    CREATE TABLE crm.people (id int, email text, reach contact, meta jsonb, account_number bigint);
    CREATE TABLE crm.visits (id int, at timestamptz, who text) PARTITION BY RANGE (id); CREATE TABLE crm.visits_1 PARTITION OF crm.visits DEFAULT;
    CREATE TABLE products (id int, name text, version text);
    INSERT INTO people VALUES (1, NULL, 'Anna', 'tea', now(), '{anna@corp.de,b}'); INSERT INTO crm.people SELECT i, '', '+49 151 234567' || i, '{"login": {"mail": "x"}}', 5 FROM generate_series(1, 9) i;
    INSERT INTO crm.visits SELECT i, now(), '81.2.69.' || i FROM generate_series(1, 200) i; INSERT INTO products VALUES (1, 'Tea', '1.2.3.4');`;
  const seen = [
    'crm.people.email: looks like an e-mail address by its name',
    'crm.people.reach: looks like a phone number by its values',
    'crm.people.meta at login.mail: looks like an e-mail address by its name',
    'crm.people.account_number: looks like a bank account by its name',
    'crm.visits.who: looks like an IP address by its values',
    'public.people.email: looks like an e-mail address by its name',
    'public.people.Vorname: looks like a name of a person by its name',
    'public.people.likes: looks like an e-mail address by its values',
  ];

  it('is found in all schemas, by names and by values [G2]', async () => {
    await rig.fresh(shop);
    expect(await suspects()).to.have.members(seen);
    const { columns, empty } = await classify(rig.blue.access, [], []);
    expect(columns).to.equal(17);
    expect(empty).to.equal(1);
  });

  it('is classified by a rule of the same schema, or as harmless [G2]', async () => {
    await rig.fresh(shop);
    const rules: MaskRule[] = [
      { table: 'crm.people', column: 'email', with: 'email' },
      { table: 'crm.people', column: 'meta', path: 'login', with: 'email' },
      { table: 'visits', column: 'who', with: 'ip' },
    ];
    const harmless = [{ table: 'public.people', column: 'Vorname', reason: 'names of cats' }];
    expect(await suspects(rules, harmless)).to.have.members([seen[1], seen[3], seen[5], seen[7]]);
    const error = await requireClassified(rig.blue.access, rules, harmless).catch((e: unknown) => e);
    expect(error).to.be.instanceOf(OperationError);
    expect((error as Error).message)
      .to.include('public.people.likes')
      .and.not.to.match(/anna|corp|Vorname/);
  });

  it('is looked for in bounded time in a large table, from all over it', async () => {
    await rig.fresh(
      `CREATE TABLE log (id int, who text); INSERT INTO log SELECT i, CASE WHEN i > 100000 THEN 'user' || i || '@corp.de' ELSE 'nobody' END FROM generate_series(1, 200000) i;`,
    );
    expect(await suspects()).to.deep.equal(['public.log.who: looks like an e-mail address by its values']);
  });

  it('of the sample application is classified, and masked as its definition says', async () => {
    const directory = 'examples/think-in-coin/migrations';
    const files = (await readdir(directory)).filter((f) => !/contract/.test(f)).sort();
    const texts = await Promise.all(files.map((file) => readFile(join(directory, file), 'utf8')));
    await rig.fresh(texts.join('\n'));
    await rig.run(
      rig.blue,
      `INSERT INTO accounts (email, name, password_hash) SELECT 'user' || i || '@corp.de', 'Anna Miller ' || i, md5(i::text) FROM generate_series(1, 300) i;
       INSERT INTO chat_messages (account_id, author, body) SELECT id, 'learner', 'I am ' || name || ', write to ' || email FROM accounts;
       INSERT INTO login_attempts (scope, email_hash, attempts) SELECT 'email:' || md5(email), md5(email), 1 FROM accounts;`,
    );
    const { personal, harmless } = releaseDefinition.parse(definition).data;
    await requireClassified(rig.blue.access, personal, harmless);
    await copyDatabase(rig.blue.access, rig.green.access);
    const unmasked = () => findUnmasked(rig.green.access, rig.blue.access, personal);
    expect((await unmasked()).map(({ rows, checked }) => rows === checked && rows > 0)).to.deep.equal(
      personal.map(() => true),
    );
    await maskDatabase(rig.green.access, personal, 'a secret', harmless);
    expect((await unmasked()).map(({ rows, checked }) => rows === 0 && checked > 0)).to.deep.equal(
      personal.map(() => true),
    );
    expect(
      await value(
        rig.green,
        `SELECT count(*)::int FROM accounts a JOIN chat_messages c ON c.account_id = a.id WHERE length(c.body) <= 80`,
      ),
    ).to.equal(300);
  });

  it('is compared with the original in every schema and form [G2]', async () => {
    await rig.fresh(`CREATE SCHEMA crm; CREATE TABLE people (id int, email text); CREATE TABLE crm.people (id int, email text, meta jsonb, phone text, cc text[], born date);
      INSERT INTO people SELECT i, 'a' || i || '@corp.de' FROM generate_series(1, 50) i; INSERT INTO crm.people SELECT i, 'b' || i || '@corp.de', jsonb_build_object('mail', 'c' || i || '@corp.de'), '0151 20000' || i, ARRAY['d' || i || '@corp.de'], '2000-01-01' FROM generate_series(100, 150) i;`);
    await copyDatabase(rig.blue.access, rig.green.access);
    const rules: MaskRule[] = [
      { table: 'public.people', column: 'email', with: 'email' },
      { table: 'crm.people', column: 'email', with: 'email' },
      { table: 'crm.people', column: 'meta', path: 'mail', with: 'email' },
      { table: 'crm.people', column: 'phone', with: 'digits' },
      { table: 'crm.people', column: 'cc', with: 'email' },
      { table: 'crm.people', column: 'born', with: 'date' },
    ];
    const rows = async () =>
      (await findUnmasked(rig.green.access, rig.blue.access, rules)).map((f) => [f.column, f.rows, f.checked]);
    const found = (left: boolean) => [
      ['public.people.email', left ? 50 : 0, 50],
      ...['email', 'meta', 'phone', 'cc'].map((c) => [`crm.people.${c}`, left ? 51 : 0, 51]),
    ];
    expect(await rows()).to.deep.equal(found(true));
    await maskDatabase(rig.green.access, rules);
    expect(await rows()).to.deep.equal(found(false));
  });
});
