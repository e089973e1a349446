import { expect } from 'chai';
import { tablesOf } from '../../../../../automation/data/catalog.ts';
import { compareDatabases, openSnapshot, source } from '../../../../../automation/data/comparison/compare.ts';
import { connect, withClient } from '../../../../../automation/data/connect.ts';
import { piecesOf, Rewritten } from '../../../../../automation/data/comparison/pieces.ts';
import { Snapshot } from '../../../../../automation/data/comparison/snapshot.ts';
import { bucketsFor, estimatedRows, sumOf, sumsOf } from '../../../../../automation/data/comparison/multiset.ts';
import { reading } from '../../../../../automation/data/comparison/reading.ts';
import { createRig, type Rig } from '../rig.ts';

/** Small numbers from a seed, so that what fails can be repeated. */
const random = (seed: number) => (below: number) => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
};

describe('what a comparison of contents finds', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  const compare = (columns: 'left' | 'common' = 'left') =>
    withClient(rig.blue.access, 'admin', (left) =>
      withClient(rig.green.access, 'admin', async (right) => {
        await Promise.all([openSnapshot(left), openSnapshot(right)]);
        return await compareDatabases(left, right, { columns, names: { left: 'blue', right: 'green' } });
      }),
    );
  const compared = async (blue: string, green: string) => {
    await rig.fresh(blue);
    await rig.run(rig.green, green);
    return await compare();
  };

  describe('different contents that look alike', () => {
    const keyless = 'CREATE TABLE t (a int, s text);';
    const cases: [title: string, blue: string, green: string][] = [
      [
        'rows in pairs, all different [N1]',
        `${keyless} INSERT INTO t SELECT i / 2, 'paid' FROM generate_series(0, 999) i`,
        `${keyless} INSERT INTO t SELECT i / 2, 'OPEN' FROM generate_series(0, 999) i`,
      ],
      [
        'a pair moved to another row [N1]',
        `${keyless} INSERT INTO t VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, 'x')`,
        `${keyless} INSERT INTO t VALUES (1, 'x'), (2, 'x'), (2, 'x'), (2, 'x')`,
      ],
      [
        'values swapped between rows [N1]',
        `${keyless} INSERT INTO t VALUES (1, 'a'), (2, 'b')`,
        `${keyless} INSERT INTO t VALUES (1, 'b'), (2, 'a')`,
      ],
      [
        'values rotated between three columns',
        `CREATE TABLE t (a text, b text, c text); INSERT INTO t VALUES ('x', 'y', 'z'), ('y', 'z', 'x'), ('z', 'x', 'y')`,
        `CREATE TABLE t (a text, b text, c text); INSERT INTO t VALUES ('x', 'z', 'y'), ('z', 'y', 'x'), ('y', 'x', 'z')`,
      ],
      [
        'whole numbers whose halves fold to one hash',
        'CREATE TABLE t (id int PRIMARY KEY, n bigint); INSERT INTO t VALUES (1, 1)',
        'CREATE TABLE t (id int PRIMARY KEY, n bigint); INSERT INTO t VALUES (1, 4294967296)',
      ],
      [
        'instants whose halves fold to one hash',
        `CREATE TABLE t (id int PRIMARY KEY, at timestamptz); INSERT INTO t VALUES (1, '2000-01-01 00:00:00.000001Z')`,
        `CREATE TABLE t (id int PRIMARY KEY, at timestamptz); INSERT INTO t VALUES (1, timestamptz '2000-01-01Z' + 4294967296 * interval '1 us')`,
      ],
      ['null and empty', `${keyless} INSERT INTO t VALUES (1, NULL)`, `${keyless} INSERT INTO t VALUES (1, '')`],
      [
        'numbers of another scale, and another sign of zero',
        `CREATE TABLE t (d numeric, f float8); INSERT INTO t VALUES (1.0, 0)`,
        `CREATE TABLE t (d numeric, f float8); INSERT INTO t VALUES (1.0, '-0')`,
      ],
      [
        'numbers in an array that the database shows with few digits [B4]',
        `CREATE TABLE t (f float8[]); INSERT INTO t VALUES ('{0.1}'); ALTER ROLE admin IN DATABASE app SET extra_float_digits = -10`,
        `CREATE TABLE t (f float8[]); INSERT INTO t VALUES ('{0.1000000000000001}'); ALTER ROLE admin IN DATABASE app SET extra_float_digits = -10`,
      ],
      [
        'text and what only looks like a part of a row',
        `CREATE TABLE t (a text, b text); INSERT INTO t VALUES ('x,y', 'z')`,
        `CREATE TABLE t (a text, b text); INSERT INTO t VALUES ('x', 'y,z')`,
      ],
      [
        'numbers of another sign, and documents with numbers of another scale',
        `CREATE TABLE t (d numeric, j jsonb); INSERT INTO t VALUES (-1, '{"n": 1.0}'), (1, '{"n": 1.0}')`,
        `CREATE TABLE t (d numeric, j jsonb); INSERT INTO t VALUES (-1, '{"n": 1.0}'), (1, '{"n": 1.00}')`,
      ],
      [
        'texts that a collation takes for the same',
        `CREATE COLLATION same (provider = icu, locale = 'und-u-ks-level1', deterministic = false); CREATE TABLE t (s text COLLATE same); INSERT INTO t VALUES ('Ä')`,
        `CREATE COLLATION same (provider = icu, locale = 'und-u-ks-level1', deterministic = false); CREATE TABLE t (s text COLLATE same); INSERT INTO t VALUES ('a')`,
      ],
      [
        'spans that count as the same',
        `CREATE TABLE t (i interval, a interval[]); INSERT INTO t VALUES ('1 day', '{1 day}')`,
        `CREATE TABLE t (i interval, a interval[]); INSERT INTO t VALUES ('24 hours', '{24 hours}')`,
      ],
      [
        'values of one column swapped between rows that share all others',
        `CREATE TABLE t (a int, b text, c bigint); INSERT INTO t VALUES (1, 'x', 7), (1, 'y', 8)`,
        `CREATE TABLE t (a int, b text, c bigint); INSERT INTO t VALUES (1, 'x', 8), (1, 'y', 7)`,
      ],
      [
        'two tables whose full names read the same',
        `CREATE SCHEMA "a.b"; CREATE TABLE "a.b".c (id int); INSERT INTO "a.b".c VALUES (1)`,
        `CREATE SCHEMA a; CREATE TABLE a."b.c" (id int); INSERT INTO a."b.c" VALUES (1)`,
      ],
    ];
    for (const [title, blue, green] of cases) {
      it(title, async () => {
        // Settings of a role are the administrator's to make.
        const admin = (sql: string) => sql.split(';').filter((s) => s.includes('ALTER ROLE'));
        const others = (sql: string) =>
          sql
            .split(';')
            .filter((s) => !s.includes('ALTER ROLE'))
            .join(';');
        await rig.fresh(others(blue));
        await rig.run(rig.green, others(green));
        for (const [side, sql] of [
          [rig.blue, blue],
          [rig.green, green],
        ] as const)
          for (const statement of admin(sql))
            await withClient(side.access, 'admin', (client) => client.query(statement));
        expect((await compare())[0]).to.include({ equal: false });
      });
    }

    it('finds any two different multisets, and no two equal ones [N1]', async () => {
      const next = random(20_260_101);
      const multisets: number[][] = [];
      // Few values and many copies, so that pairs, triples and powers of two of the same rows are common.
      for (let i = 0; i < 60; i++) {
        const base = Array.from({ length: 1 + next(4) }, () => next(5));
        const copies = [1, 2, 3, 4, 8, 64, 1024][next(7)] as number;
        multisets.push(base.flatMap((value) => Array.from({ length: next(2) === 0 ? copies : 1 }, () => value)));
      }
      // A row is two columns made of one number, so that some multisets are others with the columns swapped.
      const insert = (set: number[], table: string, order: string) =>
        `CREATE TABLE ${table} (a int, b bigint); INSERT INTO ${table} SELECT v % 3, v / 3 FROM unnest('{${set.join()}}'::int[]) v ORDER BY ${order}`;
      const pairs = multisets.flatMap((left, i) =>
        [left, multisets[(i + 1) % multisets.length] ?? [], mutate(left, next)].map((right) => ({ left, right })),
      );
      await rig.fresh(pairs.map(({ left }, i) => insert(left, `t${i}`, 'v')).join(';'));
      await rig.run(rig.green, pairs.map(({ right }, i) => insert(right, `t${i}`, 'md5(v::text) DESC')).join(';'));
      const found = new Map((await compare()).map(({ table, equal }) => [table, equal]));
      const sorted = (set: number[]) => [...set].sort((a, b) => a - b).join();
      const wrong = pairs.filter(
        ({ left, right }, i) => found.get(`public.t${i}`) !== (sorted(left) === sorted(right)),
      );
      expect(wrong).to.deep.equal([]);
      expect([...found.values()].filter((equal) => equal)).to.have.length.within(60, 120);
    });
  });

  it('counts rows without an equal in a table without a key', async () => {
    const table = 'CREATE TABLE t (a int, s text);';
    const [found] = await compared(
      `${table} INSERT INTO t SELECT i / 2, 'paid' FROM generate_series(0, 9999) i; INSERT INTO t VALUES (-1, 'blue'), (-1, 'blue')`,
      `${table} INSERT INTO t SELECT i / 2, CASE WHEN i < 1000 THEN 'OPEN' ELSE 'paid' END FROM generate_series(0, 9999) i; INSERT INTO t VALUES (-1, 'blue')`,
    );
    expect(found).to.deep.include({ equal: false, rows: { left: 10_002, right: 10_001 } });
    expect(found?.detail).to.equal(
      '1001 rows of blue and 1000 rows of green have no equal on the other side (no primary key names them)',
    );
  });

  it('counts and names rows of a table with a key, however many differ', async () => {
    const table = 'CREATE TABLE t (id int PRIMARY KEY, s text);';
    const [found] = await compared(
      `${table} INSERT INTO t SELECT i, 'paid' FROM generate_series(1, 20000) i`,
      `${table} INSERT INTO t SELECT i, 'OPEN' FROM generate_series(1, 19999) i`,
    );
    expect(found?.detail).to.match(
      /^20000 rows of blue and 19999 rows of green have no equal on the other side \(among them id = \d+; id = \d+; id = \d+\)$/,
    );
  });

  it('finds no difference without columns or rows, with inheriting tables, or between types with equal values', async () => {
    const tables = `CREATE TABLE nothing (); INSERT INTO nothing DEFAULT VALUES; CREATE TABLE none (id int PRIMARY KEY);
      CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1), (2);
      CREATE TABLE parts (id int PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id); CREATE TABLE parts1 PARTITION OF parts FOR VALUES FROM (0) TO (9);
      INSERT INTO parts VALUES (1, '2026-01-01'); CREATE DOMAIN word AS text; CREATE TABLE types (n WIDE, w word, c char(5), l char(LENGTH), i interval, d SCALE);
      INSERT INTO types VALUES (7, 'x', 'y', 'z', '1 day', 1.5)`;
    const as = (wide: string, scale: string, length: string) =>
      tables.replace('WIDE', wide).replace('SCALE', scale).replace('LENGTH', length);
    const found = await compared(as('int', 'numeric(10,2)', '4'), as('bigint', 'numeric(12,4)', '9'));
    expect(found.filter(({ equal }) => !equal)).to.deep.equal([]);
    expect(found.map(({ table, rows }) => [table.slice(7), rows.left])).to.deep.equal([
      ['child', 2],
      ['none', 0],
      ['nothing', 1],
      ['parent', 1],
      ['parts', 1],
      ['types', 1],
    ]);
  });

  it('is equal whatever database and role have set for the forms of values [B4]', async () => {
    const table = `CREATE TABLE t (id int PRIMARY KEY, i interval, a interval[], at timestamptz[], f float8[], b bytea[], m money, x xml, r regclass[], g tstzrange);
      INSERT INTO t VALUES (1, '1 day 2:03', '{1 day}', '{2026-01-02 03:04:05Z}', '{0.1,1e-7}', '{abc}', 1234.5, xmlelement(name a, 'abc'::bytea), '{t,pg_class}', '[2026-01-02Z,2026-01-03Z)')`;
    await rig.fresh(table);
    await rig.run(rig.green, table);
    const settings = {
      intervalstyle: 'iso_8601',
      datestyle: 'German',
      timezone: 'Asia/Tokyo',
      extra_float_digits: '-10',
      bytea_output: 'escape',
      xmlbinary: 'hex',
      search_path: 'pg_temp',
      quote_all_identifiers: 'on',
      lc_monetary: 'C',
      enable_tidscan: 'off',
    };
    try {
      for (const [i, [name, to]] of Object.entries(settings).entries())
        await withClient(rig.blue.access, 'admin', (client) =>
          client.query(
            i % 2 === 0
              ? `ALTER DATABASE app SET ${name} = '${to}'`
              : `ALTER ROLE admin IN DATABASE app SET ${name} = '${to}'`,
          ),
        );
      expect(await compare()).to.deep.equal([{ table: 'public.t', rows: { left: 1, right: 1 }, equal: true }]);
      await rig.run(rig.green, `UPDATE t SET a = '{1 day 1 us}'`);
      expect((await compare())[0]?.detail).to.equal('1 row with different content (id = 1)');
    } finally {
      await withClient(rig.blue.access, 'admin', (client) =>
        client.query('ALTER DATABASE app RESET ALL; ALTER ROLE admin IN DATABASE app RESET ALL'),
      );
    }
  });

  it('is equal if columns stand in another order, and with as many columns as a table can have', async () => {
    const wide = (order: (names: string[]) => string[]) => {
      const names = order(Array.from({ length: 1600 }, (_, i) => `c${i}`));
      return `CREATE TABLE two (${order(['a int', 'b text']).join(', ')}); INSERT INTO two (a, b) VALUES (1, 'x');
        CREATE TABLE wide (${names.map((name) => `${name} bigint`).join(', ')}); INSERT INTO wide (c0, c1599) VALUES (4294967296, 1)`;
    };
    await rig.fresh(wide((names) => names));
    await rig.run(
      rig.green,
      wide((names) => names.reverse()),
    );
    expect((await compare()).map(({ equal }) => equal)).to.deep.equal([true, true]);
    await rig.run(rig.green, 'UPDATE wide SET c1599 = 4294967296, c0 = 1');
    expect((await compare()).map(({ equal }) => equal)).to.deep.equal([true, false]);
  });

  describe('by several sessions of one snapshot', () => {
    const big = `CREATE TABLE big (id int, text text); ALTER TABLE big ALTER text SET STORAGE EXTERNAL; INSERT INTO big SELECT i, repeat(md5(i::text), 8) FROM generate_series(1, 160000) i;
      CREATE TABLE parts (id int, w text) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (100000);
      CREATE TABLE p2 PARTITION OF parts FOR VALUES FROM (100000) TO (400000); INSERT INTO parts SELECT i, repeat('w', 300) FROM generate_series(1, 150000) i`;
    const open = (side: Rig['blue']) => connect(side.access, 'admin');
    const widened = async (side: Rig['blue'], work: (snapshot: Snapshot) => Promise<void>) => {
      await withClient(side.access, 'admin', async (client) => {
        await openSnapshot(client);
        const snapshot = new Snapshot(client);
        try {
          await snapshot.widen(3, () => open(side));
          await work(snapshot);
        } finally {
          await snapshot.close();
        }
      });
    };

    it('adds up the pieces of tables and partitions to what one session finds, as of the snapshot', async () => {
      await rig.fresh(big);
      await widened(rig.blue, async (snapshot) => {
        await rig.run(
          rig.blue,
          `UPDATE big SET text = 'late' WHERE id % 7 = 0; DELETE FROM parts WHERE id < 5000; INSERT INTO big SELECT 1, 'late'`,
        );
        for (const table of await tablesOf(snapshot.first)) {
          const [many, one] = [source(snapshot, table, table), source(snapshot.first, table, table)];
          expect(await piecesOf(many), table.name).to.have.length.above(2);
          expect(await sumOf(many), table.name).to.deep.equal(await sumOf(one));
          expect((await sumsOf(many, 64, true)).get(5), table.name).to.deep.equal((await sumsOf(one, 64, true)).get(5));
        }
      });
    });

    it('reads a table at once that is rewritten between two of its pieces', async () => {
      await rig.fresh(big);
      await widened(rig.blue, async (snapshot) => {
        const [table] = await tablesOf(snapshot.first);
        if (table === undefined) throw new Error('no table');
        const many = source(snapshot, table, table);
        const whole = await sumOf(many);
        const [piece] = await piecesOf(many);
        await withClient(rig.blue.access, 'admin', (client) => client.query('VACUUM FULL big'));
        const late = await snapshot
          .run(async (client) => {
            await client.query(`SELECT FROM ${piece?.from} LIMIT 1`);
            await piece?.check(client);
          })
          .catch((error: unknown) => error);
        expect(late).to.be.instanceOf(Rewritten);
        expect(await sumOf(many)).to.deep.equal(whole);
      });
    });

    it('goes on with fewer sessions where the server has no more', async () => {
      await rig.fresh('CREATE TABLE t (id int)');
      await withClient(rig.blue.access, 'admin', async (client) => {
        await openSnapshot(client);
        const snapshot = new Snapshot(client);
        let asked = 0;
        await snapshot.widen(4, () => ((asked += 1) === 2 ? open(rig.blue) : Promise.reject(new Error('too many'))));
        expect([asked, snapshot.size]).to.deep.equal([3, 2]);
        await snapshot.close();
      });
    });
  });

  it('fails if a policy hides rows from its session', async () => {
    const schema = `CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t ENABLE ROW LEVEL SECURITY`;
    await rig.fresh(`${schema}; INSERT INTO t VALUES (1); ALTER TABLE t FORCE ROW LEVEL SECURITY`);
    await rig.run(rig.green, `${schema}; ALTER TABLE t FORCE ROW LEVEL SECURITY`);
    const error = await withClient(rig.blue.access, 'owner', (left) =>
      withClient(rig.green.access, 'owner', async (right) => {
        await Promise.all([openSnapshot(left), openSnapshot(right)]);
        return await compareDatabases(left, right, { columns: 'left' }).catch((e: Error) => e.message);
      }),
    );
    expect(error).to.include('would be affected by row-level security policy for table "t"');
  });

  it('finds tables unequal that share no column', async () => {
    await rig.fresh('CREATE TABLE t (a int); INSERT INTO t VALUES (1)');
    await rig.run(rig.green, 'CREATE TABLE t (b int); INSERT INTO t VALUES (2)');
    expect(await compare('common')).to.deep.equal([
      {
        table: 'public.t',
        rows: { left: 1, right: 1 },
        leftColumns: ['a'],
        equal: false,
        detail: 'no column is on both sides',
      },
    ]);
  });

  it('adapts timeout and buckets to the size of a table, partitioned or not', async () => {
    await rig.fresh(`CREATE TABLE plain AS SELECT i AS id FROM generate_series(1, 300000) i; CREATE TABLE parts (id int) PARTITION BY RANGE (id);
      CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (150000); CREATE TABLE p2 PARTITION OF parts FOR VALUES FROM (150000) TO (400000);
      INSERT INTO parts SELECT * FROM plain; ANALYZE`);
    await withClient(rig.blue.access, 'admin', async (client) => {
      await openSnapshot(client);
      for (const table of await tablesOf(client)) {
        const one = source(client, table, table);
        expect(await reading(one, (_, { query_timeout: ms }) => Promise.resolve(ms)), table.name).to.be.above(66_000);
        expect(bucketsFor(await estimatedRows(one)), table.name).to.equal(1024);
        expect((await sumsOf(one, 1024, true)).size, table.name).to.equal(1024);
      }
    });
  });

  it('keeps no lock that a schema change would wait for', async () => {
    await rig.fresh('CREATE TABLE t (id int PRIMARY KEY)');
    await rig.run(rig.green, 'CREATE TABLE t (id int PRIMARY KEY)');
    await withClient(rig.blue.access, 'admin', (left) =>
      withClient(rig.green.access, 'admin', async (right) => {
        await Promise.all([openSnapshot(left), openSnapshot(right)]);
        await compareDatabases(left, right, { columns: 'left' });
        await rig.run(rig.blue, `SET lock_timeout = '1s'; TRUNCATE t`);
      }),
    );
  });
});

/** One row becomes another, or comes or goes. */
function mutate(set: number[], next: (below: number) => number): number[] {
  const at = next(set.length);
  const changed = set.map((value, i) => (i === at ? (value + 1 + next(4)) % 5 : value));
  return [changed, [...set, set[at] as number], set.filter((_, i) => i !== at)][next(3)] as number[];
}
