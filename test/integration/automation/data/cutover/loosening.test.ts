import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cutover } from '../../../../../automation/data/cutover/cutover.ts';
import type { CutoverResult } from '../../../../../automation/data/cutover/types.ts';
import { close, connect, rows, withClient } from '../../../../../automation/data/connect.ts';
import { copySchema } from '../../../../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../../../../automation/data/schema.ts';
import { linkBetween, type Side } from '../../../../../automation/data/link.ts';
import { loosenedOn } from '../../../../../automation/data/loosened.ts';
import { runMigrations } from '../../../../../automation/data/migrations/migrations.ts';
import { followPartitions } from '../../../../../automation/data/replication/partitions.ts';
import { foreseeLoosenings } from '../../../../../automation/data/replication/loosen.ts';
import { describeDrift, schemaDrift } from '../../../../../automation/data/replication/schema-drift.ts';
import { recordCopy, startSync, syncStatus, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { lookAfter, noMending } from '../../../../../automation/data/replication/way-back.ts';
import { createRig, expand, type Rig } from '../rig.ts';
import { MemoryRouter } from '../traffic.ts';

const schema = `
  CREATE TYPE mood AS ENUM ('calm', 'glad');
  CREATE DOMAIN short AS text NOT NULL CHECK (length(VALUE) < 5);
  CREATE TABLE parents (id int PRIMARY KEY);
  INSERT INTO parents VALUES (1);
  CREATE TABLE codes (id int PRIMARY KEY, code varchar(20) NOT NULL CHECK (code <> ''), mood mood, tag short DEFAULT 'x', price numeric(6,2),
    at timestamptz(0), state text CHECK (state IN ('on', 'off')), parent int CONSTRAINT of_parent REFERENCES parents, level int DEFAULT 1);
  CREATE INDEX ON codes (code);
  CREATE TABLE m (at int, code varchar(5) NOT NULL, PRIMARY KEY (at), CONSTRAINT filled CHECK (code <> '')) PARTITION BY RANGE (at);
  CREATE INDEX by_code ON m (code);
  CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (10);
  INSERT INTO codes (id, code) VALUES (1, 'first')`;

/** What an expand migration loosens, a row that only the new side takes, what is said, and what the row is asked by. */
const kinds: { what: string; id: string; sql: string; row: string; says: string[]; ask: string }[] = [
  {
    what: 'a longer text',
    id: 'D1',
    sql: 'ALTER TABLE codes ALTER code TYPE varchar(50)',
    row: `INSERT INTO codes (id, code) VALUES (2, repeat('x', 40))`,
    says: ['column public.codes.code: character varying(50) instead of character varying(20)'],
    ask: 'SELECT length(code) FROM codes WHERE id = 2',
  },
  {
    what: 'a text without limit, a larger number and a finer time',
    id: 'D1',
    sql: `ALTER TABLE codes ALTER code TYPE text, ALTER price TYPE numeric(12,2), ALTER at TYPE timestamptz, ALTER level SET DEFAULT 2`,
    row: `INSERT INTO codes (id, code, price, at) VALUES (2, repeat('x', 400), 1234567.89, '2026-01-01 00:00:00.123456+00')`,
    says: [
      'column public.codes.at: timestamp with time zone instead of timestamp(0) with time zone',
      'column public.codes.code: text instead of character varying(20)',
      'column public.codes.price: numeric(12,2) instead of numeric(6,2)',
    ],
    ask: `SELECT concat(length(code), ' ', price, ' ', extract(microseconds FROM at)) FROM codes WHERE id = 2`,
  },
  {
    what: 'values of an enum, at its end and within',
    id: 'D2',
    sql: `ALTER TYPE mood ADD VALUE 'it''s odd'; ALTER TYPE mood ADD VALUE 'so-so' BEFORE 'glad'`,
    row: `INSERT INTO codes (id, code, mood) VALUES (2, 'a', 'it''s odd'), (3, 'b', 'so-so')`,
    says: [`type public.mood: 'so-so', 'it''s odd'`],
    ask: `SELECT string_agg(mood::text, ',' ORDER BY mood) FROM codes WHERE mood IS NOT NULL`,
  },
  {
    what: 'a dropped CHECK, one in place of another, and a dropped NOT NULL',
    id: 'D2',
    sql: `ALTER TABLE codes DROP CONSTRAINT codes_code_check, ALTER code DROP NOT NULL, DROP CONSTRAINT codes_state_check,
      ADD CONSTRAINT codes_state_check CHECK (state IN ('on', 'off', 'idle'))`,
    row: `INSERT INTO codes (id, code, state) VALUES (2, '', 'idle'), (3, NULL, 'on')`,
    says: [
      'column public.codes.code: may be null',
      'constraint public.codes.codes_code_check is dropped',
      'constraint public.codes.codes_state_check is another one',
    ],
    ask: `SELECT string_agg(concat(id, code, state), ',' ORDER BY id) FROM codes WHERE id > 1`,
  },
  {
    what: 'a domain that takes more',
    id: 'D2',
    sql: 'ALTER DOMAIN short DROP NOT NULL; ALTER DOMAIN short DROP CONSTRAINT short_check',
    row: `INSERT INTO codes (id, code, tag) VALUES (2, 'a', NULL), (3, 'b', 'longer')`,
    says: ['constraint public.short.short_check is dropped', 'domain public.short may be null'],
    ask: `SELECT string_agg(coalesce(tag, '-'), ',' ORDER BY id) FROM codes WHERE id > 1`,
  },
  {
    what: 'a dropped foreign key, which stays for what the old version writes',
    id: 'D2',
    sql: 'ALTER TABLE codes DROP CONSTRAINT of_parent',
    row: `INSERT INTO codes (id, code, parent) VALUES (2, 'a', 77)`,
    says: ['constraint public.codes.of_parent is NOT VALID'],
    ask: `SELECT parent FROM codes WHERE id = 2`,
  },
  {
    what: 'a partition, and looser columns of a table in partitions',
    id: 'D2',
    sql: `ALTER TABLE m ALTER code TYPE varchar(9), ALTER code DROP NOT NULL, DROP CONSTRAINT filled; DROP INDEX by_code; CREATE INDEX by_code ON m (code, at);
      CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (10) TO (30) PARTITION BY RANGE (at); CREATE TABLE a_2 PARTITION OF m_2 FOR VALUES FROM (10) TO (20)`,
    row: `INSERT INTO m VALUES (1, NULL), (2, ''), (11, '123456789')`,
    says: [
      'column public.m.code: character varying(9) instead of character varying(5), may be null',
      'column public.m_1.code: character varying(9) instead of character varying(5), may be null',
      'constraint public.m.filled is dropped',
      'constraint public.m_1.filled is dropped',
      'partition public.a_2',
      'partition public.m_2',
    ],
    ask: `SELECT string_agg(concat(tableoid::regclass, at, code), ',' ORDER BY at) FROM m`,
  },
];

describe('what an expand migration loosens', () => {
  let rig: Rig;
  let router: MemoryRouter;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  const settings = { holdMs: 4000, drainMs: 1000 };
  const wayBack = () => linkBetween(rig.green, rig.blue);
  const there = (): Promise<CutoverResult> =>
    cutover({ router, from: rig.blue, to: rig.green, direction: 'forward', settings });
  const back = (): Promise<CutoverResult> =>
    cutover({ router, from: rig.green, to: rig.blue, direction: 'rollback', settings });
  const one = async (side: Side, sql: string) =>
    withClient(
      side.access,
      'owner',
      async (client) => Object.values((await rows<object>(client, sql))[0] ?? {})[0] as unknown,
    );
  const following = async (migration: string): Promise<void> => {
    await rig.fresh(schema);
    router = new MemoryRouter();
    await expand(rig, migration);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
  };
  const foreseen = () =>
    withClient(rig.blue.access, 'admin', (old) =>
      withClient(rig.green.access, 'admin', async (newer) => foreseeLoosenings(old, newer)),
    );
  const loosened = (side = rig.blue) =>
    withClient(side.access, 'admin', async (client) => (await loosenedOn(client)).map(({ says }) => says));
  const unbroken = async (moved: Promise<CutoverResult>): Promise<void> => {
    const { problems, tables } = await moved;
    expect(problems).to.deep.equal([]);
    expect(tables.filter(({ equal }) => !equal)).to.deep.equal([]);
  };

  for (const { what, id, sql, row, says, ask } of kinds) {
    it(`lets the old side take it, and its rows come back: ${what} [${id}]`, async () => {
      await following(sql);
      expect((await foreseen()).map(({ says, not }) => ({ says, not }))).to.deep.equal(
        says.map((text) => ({ says: text, not: undefined })),
      );
      expect(await loosened()).to.deep.equal([]);
      await unbroken(there());
      expect((await loosened()).sort()).to.deep.equal([...says].sort());
      expect(describeDrift(await schemaDrift(wayBack()))).to.equal('');
      await rig.run(rig.green, row);
      await unbroken(back());
      expect(await one(rig.blue, ask)).to.equal(await one(rig.green, ask));
      expect(await one(rig.blue, ask)).to.not.equal(null);
    });
  }

  it('changes nothing that users are served by: a prepared statement would fail once there, and does so after the flip', async () => {
    await following('ALTER TABLE codes ALTER code TYPE varchar(50)');
    const session = await connect(rig.blue.access, 'app');
    try {
      await session.query('PREPARE codes AS SELECT code FROM codes');
      let atFlip: unknown;
      const apply = router.apply.bind(router);
      router.apply = async (...of) => {
        atFlip = (await session.query('EXECUTE codes')).rowCount;
        return apply(...of);
      };
      await unbroken(there());
      expect(atFlip).to.equal(1);
      const failed = await session.query('EXECUTE codes').catch((error: Error) => error.message);
      expect(failed).to.equal('cached plan must not change result type');
    } finally {
      await close(session);
    }
  });

  it('leaves the old side as it is where the old version would not be indifferent, and says so [D1]', async () => {
    await following(`DROP VIEW IF EXISTS none; ALTER TABLE codes ALTER id TYPE bigint, ALTER price TYPE numeric(12,4)`);
    expect((await foreseen()).map(({ says, not }) => `${says}: ${not}`)).to.deep.equal([
      'column public.codes.id: bigint instead of integer: the table would be written anew, and the old version would meet another type',
      'column public.codes.price: numeric(12,4) instead of numeric(6,2): the table would be written anew, and the old version would meet another type',
    ]);
  });

  it('keeps the old version guarded by a CHECK that is another one now, and looks at its grouping [D2]', async () => {
    await rig.fresh(
      `CREATE TABLE t (id int PRIMARY KEY, n int CONSTRAINT stricter CHECK (n > 0), a int, b int, c text CONSTRAINT wider CHECK (c IN ('on', 'off')),
         CONSTRAINT grouped CHECK ((a > 0 OR b > 0) AND b < 9), CONSTRAINT other CHECK (a <> 7)); CREATE TYPE mood AS ENUM ('calm'); ALTER TABLE t ADD mood mood`,
    );
    router = new MemoryRouter();
    const renew = (name: string, rule: string): string =>
      `DROP CONSTRAINT ${name}, ADD CONSTRAINT ${name} CHECK (${rule})`;
    await expand(rig, `ALTER TYPE mood ADD VALUE 'glad'; ALTER TABLE t ADD d int`);
    await rig.run(
      rig.green,
      `ALTER TABLE t ${renew('stricter', 'n > 10')}, ${renew('grouped', 'a > 0 OR (b > 0 AND b < 9)')},
       ${renew('wider', `c IN ('on', 'off') OR mood = 'glad'`)}, ${renew('other', 'a <> 7 OR d IS NOT NULL')}`,
    );
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    await unbroken(there());
    expect(describeDrift(await schemaDrift(wayBack()))).to.equal('');
    await rig.run(
      rig.green,
      `INSERT INTO t (id, n, a, b) VALUES (1, 11, 1, 9); INSERT INTO t (id, c, mood) VALUES (2, '?', 'glad'); INSERT INTO t (id, a, b, d) VALUES (3, 7, 1, 1)`,
    );
    await unbroken(back());
    expect(await one(rig.blue, 'SELECT count(*)::int FROM t')).to.equal(3);
    for (const [name, refused] of [
      ['stricter', '(id, n) VALUES (9, -1)'],
      ['grouped', '(id, a, b) VALUES (9, 0, -1)'],
      ['wider', `(id, c, mood) VALUES (9, '?', 'calm')`],
    ] as const) {
      const said = await rig.run(rig.blue, `INSERT INTO t ${refused}`).catch((error: Error) => error.message);
      expect(said).to.contain(`violates check constraint "${name}"`);
    }
  });

  it('leaves unique rules and columns that views depend on, and says why [D2]', async () => {
    await rig.fresh(
      `CREATE TABLE t (id int PRIMARY KEY, code varchar(3), mail text UNIQUE, nick text); CREATE UNIQUE INDEX nicks ON t (nick); CREATE TABLE g (id int PRIMARY KEY, code varchar(3), up text GENERATED ALWAYS AS (upper(code)) STORED);
       CREATE VIEW codes AS SELECT code FROM t; INSERT INTO t VALUES (1, 'a', 'm', 'n')`,
    );
    router = new MemoryRouter();
    await expand(
      rig,
      `DROP VIEW codes; ALTER TABLE t ALTER code TYPE varchar(9), DROP CONSTRAINT t_mail_key; DROP INDEX nicks; CREATE VIEW codes AS SELECT code FROM t;
       ALTER TABLE g DROP up; ALTER TABLE g ALTER code TYPE varchar(9); ALTER TABLE g ADD up text GENERATED ALWAYS AS (upper(code)) STORED`,
    );
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    const upserts = 'the old version may need it for INSERT ... ON CONFLICT';
    expect((await foreseen()).map(({ says, not }) => `${says}: ${not}`)).to.deep.equal([
      'column public.g.code: character varying(9) instead of character varying(3): default value for column up of table g depends on it',
      'column public.t.code: character varying(9) instead of character varying(3): rule _RETURN on view codes depends on it',
      `constraint public.t.t_mail_key is dropped: ${upserts}`,
      `index public.nicks is dropped: ${upserts}`,
    ]);
    await unbroken(there());
    expect(await loosened()).to.deep.equal([]);
    await rig.run(rig.green, `INSERT INTO t VALUES (2, '1234', 'x', 'y')`);
    let look;
    do look = await lookAfter(wayBack(), noMending());
    while (look.kind !== 'broken');
    expect(look.problem).to.include('value too long for type character varying(3)');
  });

  it('repeats what the migrations did, and not what somebody has loosened later: that is named', async () => {
    await following('ALTER TABLE codes ALTER code TYPE varchar(50)');
    await unbroken(there());
    await rig.run(rig.green, 'ALTER TABLE codes ALTER code DROP NOT NULL');
    expect((await syncStatus(wayBack())).problem).to.include('column public.codes.code was changed on green');
  });

  it('and a partition that the new side gets later comes without the indexes that only its table there has', async () => {
    await following('CREATE UNIQUE INDEX once ON m (at, code)');
    await unbroken(there());
    await rig.run(rig.green, 'CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (10) TO (20)');
    await withClient(rig.green.access, 'admin', (source) =>
      withClient(rig.blue.access, 'admin', (target) => followPartitions(wayBack(), source, target)),
    );
    const indexes = `SELECT string_agg(indexname, ',' ORDER BY indexname) FROM pg_indexes WHERE tablename = 'm_2'`;
    expect(await one(rig.blue, indexes)).to.equal('m_2_code_idx,m_2_pkey');
    expect(describeDrift(await schemaDrift(wayBack()))).to.equal('');
  });

  /** A try from the start: copies blue's schema, migrates the copy, moves the writes there. */
  const tryFrom = async (directory: string): Promise<void> => {
    await resetDatabase(rig.green.access, 'green');
    await copySchema(rig.blue.access, rig.green.access);
    await withClient(rig.green.access, 'admin', recordCopy);
    await runMigrations({ access: rig.green.access, directory, phase: 'expand', incompatible: [], contract: [] });
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    await unbroken(there());
  };

  it('is not taken for done where the next try wants other bounds of a partition [D2]', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'greenlight-loosening-'));
    const go = async (bounds: string): Promise<void> => {
      await writeFile(join(directory, '001_m.sql'), `CREATE TABLE m_2 PARTITION OF m FOR VALUES ${bounds};`);
      await tryFrom(directory);
    };
    const bounds = `SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'm_2'`;
    try {
      await rig.fresh(schema);
      router = new MemoryRouter();
      await go('FROM (10) TO (20)');
      await unbroken(back());
      await go('FROM (10) TO (30)');
      expect(await one(rig.green, bounds)).to.equal('FOR VALUES FROM (10) TO (30)');
      await rig.run(rig.green, `INSERT INTO m VALUES (25, 'x')`);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('can be tried again after the way back, with rows that need it: the migrations run on a copy that has it already [D2]', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'greenlight-loosening-'));
    const files = {
      '001_mood.sql': `ALTER TYPE public.mood ADD VALUE 'odd' BEFORE 'glad'; ALTER TYPE mood ADD VALUE 'even'`,
      '002_rules.sql': `ALTER TABLE codes DROP CONSTRAINT codes_code_check, ALTER code TYPE varchar(50), ALTER code DROP NOT NULL, DROP CONSTRAINT of_parent,
          DROP CONSTRAINT codes_state_check, ADD CONSTRAINT codes_state_check CHECK (state IN ('on', 'off', 'idle'));
        ALTER DOMAIN short DROP CONSTRAINT short_check; ALTER TABLE m DROP CONSTRAINT filled;
        CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (10) TO (20); CREATE TABLE badges (id int PRIMARY KEY)`,
    };
    const go = () => tryFrom(directory);
    const rowsOf = `SELECT string_agg(concat(id, code, mood, tag, parent), ',' ORDER BY id) || (SELECT sum(at) FROM m) FROM codes`;
    const wanted = '1firstx,2oddlonger77,3evenx11';
    try {
      for (const [name, sql] of Object.entries(files)) await writeFile(join(directory, name), sql);
      await rig.fresh(schema);
      router = new MemoryRouter();
      await go();
      await rig.run(
        rig.green,
        `INSERT INTO codes (id, code, mood, tag, parent) VALUES (2, '', 'odd', 'longer', 77), (3, NULL, 'even', 'x', NULL); INSERT INTO m VALUES (11, '')`,
      );
      await unbroken(back());
      expect(await one(rig.blue, rowsOf)).to.equal(wanted);
      await go();
      expect(await one(rig.green, rowsOf)).to.equal(wanted);
      expect(
        await one(
          rig.green,
          `SELECT count(*)::int FROM pg_constraint WHERE pg_get_constraintdef(oid) LIKE 'CHECK (true)%'`,
        ),
      ).to.equal(0);
      expect(await loosened(rig.green)).to.deep.equal([]);
      expect(describeDrift(await schemaDrift(wayBack()))).to.equal('');
      await rig.run(
        rig.green,
        `INSERT INTO codes (id, code, mood, state) VALUES (4, '', 'odd', 'idle'); INSERT INTO m VALUES (12, '')`,
      );
      await unbroken(back());
      expect(await one(rig.blue, rowsOf)).to.equal(`${wanted.slice(0, -2)},4oddx23`);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
