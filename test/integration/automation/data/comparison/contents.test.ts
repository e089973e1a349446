import { expect } from 'chai';
import { compareDatabases, openSnapshot } from '../../../../../automation/data/comparison/compare.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { checkInvariants } from '../../../../../automation/data/comparison/invariants.ts';
import { checkCounters, checkLedger } from '../../../../../automation/data/comparison/ledger.ts';
import { maskDatabase } from '../../../../../automation/data/masking/mask.ts';
import type { MaskRule } from '../../../../../automation/data/masking/rules.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { createRig, schemaV1, value, type Rig } from '../rig.ts';

describe('contents of databases', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const compare = (columns: 'left' | 'common') =>
    withClient(rig.blue.access, 'admin', (left) =>
      withClient(rig.green.access, 'admin', async (right) => {
        await Promise.all([openSnapshot(left), openSnapshot(right)]);
        return await compareDatabases(left, right, { columns, names: { left: 'blue', right: 'green' } });
      }),
    );

  describe('compared', () => {
    beforeEach(async () => {
      const seed = `${schemaV1} CREATE TABLE odd (id int PRIMARY KEY, a json, b point, c mood[], d numeric, e bytea, f double precision, g interval, h xml);
        INSERT INTO odd VALUES (1, '{"x": 1}', '(1,2)', '{calm,glad}', 1.10, '\\x00ff', 0.1, '1 day', '<a/>'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        UPDATE accounts SET changed = '2026-01-01';`;
      await rig.fresh(seed);
      // Made in another order, so that the enum has another number here.
      await rig.run(rig.green, `CREATE TYPE early AS ENUM ('x'); ${seed}`);
    });

    it('are equal for all types', async () => {
      const tables = await compare('left');
      expect(tables.map((t) => [t.table, t.equal, t.rows.left])).to.deep.equal([
        ['public.accounts', true, 500],
        ['public.counters', true, 3],
        ['public.entries', true, 0],
        ['public.odd', true, 2],
        ['public.settings', true, 500],
      ]);
    });

    it('count and name different rows without personal data', async () => {
      await rig.run(
        rig.green,
        `DELETE FROM settings WHERE account = 5; UPDATE accounts SET email = upper(email) WHERE id IN (3, 400);
        UPDATE odd SET d = 1.1; INSERT INTO entries (key, account, amount) VALUES ('person@example.invalid', 1, 1)`,
      );
      const tables = new Map((await compare('left')).map((t) => [t.table, t]));
      expect(tables.get('public.accounts')?.detail).to.match(
        /^2 rows with different content \((id = 3; id = 400|id = 400; id = 3)\)$/,
      );
      expect(tables.get('public.settings')).to.deep.include({ equal: false, rows: { left: 500, right: 499 } });
      expect(tables.get('public.settings')?.detail).to.match(
        /^1 row only on blue \(account = 5, name = sha256:[0-9a-f]{8}\)$/,
      );
      expect(tables.get('public.entries')?.detail).to.match(/^1 row only on green \(key = sha256:[0-9a-f]{8}\)$/);
      expect(tables.get('public.odd')?.equal).to.equal(false);
    });

    it('judge tables and columns of one side by the direction', async () => {
      await rig.run(
        rig.green,
        'ALTER TABLE accounts ADD COLUMN extra int; CREATE TABLE more (id int PRIMARY KEY); DROP TABLE odd; ALTER TABLE settings DROP COLUMN value',
      );
      const verdicts = async (columns: 'left' | 'common') =>
        Object.fromEntries((await compare(columns)).map((t) => [t.table.slice(7), t.equal]));
      expect(await verdicts('left')).to.deep.equal({
        accounts: true,
        counters: true,
        entries: true,
        more: true,
        odd: false,
        settings: false,
      });
      expect(await verdicts('common')).to.deep.equal({
        accounts: true,
        counters: true,
        entries: true,
        more: true,
        odd: true,
        settings: true,
      });
    });
  });

  describe('masked', () => {
    const rules: MaskRule[] = [
      { table: 'people', column: 'email', with: 'email' },
      { table: 'people', column: 'name', with: 'name' },
      { table: 'people', column: 'notes', with: 'text' },
      { table: 'people', column: 'phone', with: 'null' },
      { table: 'letters', column: 'recipient', with: 'email' },
    ];
    const people = () =>
      rig.fresh(
        `CREATE TABLE people (id int PRIMARY KEY, email varchar(60) UNIQUE NOT NULL, name text, notes varchar(40), phone text, city text);
         CREATE TABLE letters (id int PRIMARY KEY, recipient varchar(60) REFERENCES people (email), copy text);
         CREATE TABLE audit (old text);
         CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (OLD.email); RETURN NEW; END $$;
         CREATE TRIGGER audit AFTER UPDATE ON people FOR EACH ROW EXECUTE FUNCTION audit();
         INSERT INTO people SELECT i, 'user' || i || '@corp.example', 'name ' || i % 7, CASE WHEN i % 2 = 0 THEN 'note' END, '555', 'town' FROM generate_series(1, 300) i;
         INSERT INTO letters SELECT i, 'user' || i || '@corp.example', 'x' FROM generate_series(1, 50) i; ANALYZE;`,
      );
    beforeEach(people);

    it('keep equality, uniqueness and references, and no original value', async () => {
      const masked = await maskDatabase(rig.blue.access, rules, 'a secret');
      expect(masked.map((m) => m.rows)).to.deep.equal([300, 300, 150, 300, 50]);
      const one = (sql: string) => value<unknown>(rig.blue, sql);
      expect(
        await one(
          `SELECT count(*)::int FROM people WHERE email LIKE '%corp%' OR name LIKE 'name%' OR notes = 'note' OR phone IS NOT NULL`,
        ),
      ).to.equal(0);
      expect(await one('SELECT count(DISTINCT email)::int FROM people')).to.equal(300);
      expect(await one('SELECT count(DISTINCT name)::int FROM people')).to.equal(7);
      expect(
        await one('SELECT count(*)::int FROM letters l JOIN people p ON p.email = l.recipient AND p.id = l.id'),
      ).to.equal(50);
      expect(await one('SELECT count(*)::int FROM audit')).to.equal(0);
      expect(await one(`SELECT count(*)::int FROM people WHERE city = 'town'`)).to.equal(300);
      expect(
        await one(
          `SELECT count(*)::int FROM pg_stats WHERE most_common_vals::text LIKE '%name 1%' OR histogram_bounds::text LIKE '%corp%'`,
        ),
      ).to.equal(0);
      const first = await one('SELECT email FROM people WHERE id = 1');
      expect(first).to.match(/^user-[0-9a-f]{16}@example\.invalid$/);

      await people();
      await maskDatabase(rig.blue.access, rules, 'a secret');
      expect(await one('SELECT email FROM people WHERE id = 1')).to.equal(first);
      await people();
      await maskDatabase(rig.blue.access, rules);
      expect(await one('SELECT email FROM people WHERE id = 1')).not.to.equal(first);
    });

    it('list every rule that cannot be applied, and change nothing', async () => {
      const wrong: MaskRule[] = [
        { table: 'nobody', column: 'a', with: 'text' },
        { table: 'people', column: 'nothing', with: 'text' },
        { table: 'people', column: 'id', with: 'email' },
        { table: 'people', column: 'email', with: 'null' },
      ];
      const error = await maskDatabase(rig.blue.access, wrong).catch((e: unknown) => e);
      expect(error).to.be.instanceOf(OperationError);
      for (const text of [
        'no table nobody',
        'no such column',
        'needs a text column',
        'must not be null',
        'mask both the same way',
      ]) {
        expect((error as OperationError).found).to.include(text);
      }
      expect(await value(rig.blue, 'SELECT email FROM people WHERE id = 1')).to.equal('user1@corp.example');
    });
  });

  describe('checked', () => {
    beforeEach(() =>
      rig.fresh("CREATE TABLE a (key text, amount int); INSERT INTO a VALUES ('one', 1), ('two', -1), ('two', -2)"),
    );

    it('by invariants: rows that break them, read-only', async () => {
      const sql = 'SELECT key FROM a WHERE amount < 0;';
      expect(
        await checkInvariants(rig.blue.access, [
          { name: 'positive', sql },
          { name: 'small', sql: 'SELECT 1 FROM a WHERE amount > 9 -- none' },
        ]),
      ).to.deep.equal([
        { name: 'positive', rows: 2 },
        { name: 'small', rows: 0 },
      ]);
      const broken = await checkInvariants(rig.blue.access, [{ name: 'typo', sql: 'SELECT nothing FROM a' }]).catch(
        (e: Error) => e.message,
      );
      expect(broken).to.include('typo').and.to.include('nothing');
      const writing = { name: 'writes', sql: 'WITH gone AS (DELETE FROM a RETURNING 1) SELECT * FROM gone' };
      expect(await checkInvariants(rig.blue.access, [writing]).catch((e: Error) => e.message)).to.include('writes');
      const ending = { name: 'ends', sql: 'SELECT 1) AS a; COMMIT; DELETE FROM a; SELECT count(*) FROM (SELECT 1' };
      expect(await checkInvariants(rig.blue.access, [ending]).catch((e: Error) => e.message)).to.include('ends');
      expect(await value<string>(rig.blue, 'SELECT count(*) FROM a')).to.equal('3');
    });

    describe('by invariants, where policies hide rows from the owner', () => {
      const broken = { name: 'positive', sql: 'SELECT key FROM a WHERE amount < 0' };
      const hidden = (policy: string) =>
        rig.run(
          rig.blue,
          `ALTER TABLE a ENABLE ROW LEVEL SECURITY; ALTER TABLE a FORCE ROW LEVEL SECURITY; CREATE POLICY mine ON a USING (${policy})`,
        );

      it('every row is looked at [N4]', async () => {
        await hidden('false');
        expect(await value(rig.blue, 'SELECT count(*)::int FROM a')).to.equal(0);
        expect(await checkInvariants(rig.blue.access, [broken])).to.deep.equal([{ name: 'positive', rows: 2 }]);
      });

      it('every row is looked at, by the names of the owner and whatever row_security is [N4]', async () => {
        await hidden(`key = 'one'`);
        await rig.run(
          rig.blue,
          `CREATE SCHEMA own; ALTER TABLE a SET SCHEMA own; CREATE TABLE b AS SELECT 1 AS one; ALTER ROLE owner IN DATABASE app SET search_path = own, public; ALTER ROLE owner IN DATABASE app SET row_security = on`,
        );
        const both = { name: 'both', sql: 'SELECT 1 FROM a, b WHERE amount < 0' };
        expect(await checkInvariants(rig.blue.access, [broken, both])).to.deep.equal([
          { name: 'positive', rows: 2 },
          { name: 'both', rows: 2 },
        ]);
      });

      it('through a view of the owner they are an error, never a pass [N4]', async () => {
        await hidden('false');
        await rig.run(rig.blue, 'CREATE VIEW v AS SELECT * FROM a');
        const viewed = { name: 'viewed', sql: 'SELECT 1 FROM v WHERE amount < 0' };
        const found = await checkInvariants(rig.blue.access, [viewed]).catch((e: Error) => e.message);
        expect(found).to.include('viewed').and.include('row-level security');
      });
    });

    it('by invariants that look at no row: they say so [N4]', async () => {
      await rig.run(
        rig.blue,
        `CREATE TABLE none (a int); CREATE TABLE parted (a int) PARTITION BY LIST (a); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1); CREATE VIEW seen AS SELECT * FROM none`,
      );
      const asked = (sql: string) =>
        checkInvariants(rig.blue.access, [{ name: 'x', sql }]).then(([found]) => found?.empty);
      expect(await asked('SELECT 1 FROM none')).to.deep.equal(['"public"."none"']);
      expect(await asked('SELECT 1 FROM seen WHERE a > 7')).to.deep.equal(['"public"."none"']);
      expect(await asked('SELECT 1 FROM parted WHERE a = 1')).to.deep.equal(['"public"."parted_1"']);
      expect(await asked('SELECT 1 FROM a LEFT JOIN none ON none.a = a.amount WHERE a.amount > 99')).to.equal(
        undefined,
      );
    });

    it('by the ledger of increments: lost and doubled ones, in both directions', async () => {
      await rig.run(
        rig.blue,
        `CREATE TABLE counts (name text PRIMARY KEY, n bigint NOT NULL);
        INSERT INTO counts VALUES ('right', 5), ('echoed', 3), ('doubled', 9), ('open', 6), ('cut off', 8), ('older', 14)`,
      );
      const sql = 'SELECT name AS counter, n AS value FROM counts WHERE name = ANY ($1)';
      const of = (acknowledged: number, unknown = 0, sent = 0, from = 0) => ({ from, sent, acknowledged, unknown });
      const sound = { right: of(5), open: of(4, 2), 'cut off': of(5, 0, 8), older: of(4, 0, 4, 10) };
      expect(await checkCounters(rig.blue.access, sql, sound)).to.deep.equal({ lost: 0, doubled: 0 });
      const wrong = { ...sound, echoed: of(5, 1), doubled: of(6, 1, 7), gone: of(4) };
      expect(await checkCounters(rig.blue.access, sql, wrong)).to.deep.equal({ lost: 6, doubled: 2 });
      expect(await checkCounters(rig.blue.access, 'not sql', {})).to.deep.equal({ lost: 0, doubled: 0 });
      const failure = (query: string) =>
        checkCounters(rig.blue.access, query, { right: of(5) }).catch((error: OperationError) => error.todo);
      expect(await failure('SELECT name, n AS value FROM counts WHERE name = ANY ($1)')).to.include('counters');
      expect(await failure('SELECT name AS counter, NULL AS value FROM counts WHERE name = ANY ($1)')).to.include(
        'bigint',
      );
    });

    it('by the ledger: lost and duplicated keys', async () => {
      const sql = 'SELECT key, count(*)::int AS copies FROM a WHERE key = ANY ($1) GROUP BY key';
      const many = Array.from({ length: 6000 }, (_, i) => `gone-${i}`);
      const found = await checkLedger(rig.blue.access, sql, ['one', 'two', ...many]);
      expect(found.duplicated).to.deep.equal(['two']);
      expect(found.lost).to.deep.equal(many);
      expect(await checkLedger(rig.blue.access, 'not sql', [])).to.deep.equal({ lost: [], duplicated: [] });
      expect(
        await checkLedger(rig.blue.access, 'SELECT 1 AS x WHERE $1::text[] IS NOT NULL', ['one']).catch(
          (e: Error) => e,
        ),
      ).to.be.instanceOf(OperationError);
    });

    it('by a ledger of any length, of which it keeps one query', async () => {
      function* endless(): Generator<string> {
        for (let i = 0; ; i++) yield `key-${i}`;
      }
      expect(await checkLedger(rig.blue.access, 'not sql', endless()).catch((e: Error) => e)).to.be.instanceOf(
        OperationError,
      );
    });
  });
});
