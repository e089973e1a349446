import { expect } from 'chai';
import { newValues, partitionOf } from '../../../../../automation/data/replication/definitions.ts';
import { looseningsIn } from '../../../../../automation/data/replication/loosening.ts';

const old = [
  { kind: 'table', name: 'a.t', definition: 'owner "Shop"\nUSING heap' },
  { kind: 'table', name: 'a.m', definition: 'owner "Shop"\nUSING heap\nPARTITION BY RANGE (at)' },
  { kind: 'view', name: 'a.v', definition: 'owner "Shop"\nx' },
  { kind: 'domain', name: 'a.d', definition: 'owner o\ntext' },
  { kind: 'type', name: 'a.e', definition: `owner o\nENUM 'a'` },
];
const found = (kind: string, name: string, left?: string, right?: string) =>
  looseningsIn(
    [{ kind, name, ...(left === undefined ? {} : { left }), ...(right === undefined ? {} : { right }) }],
    old,
  );
const statements = (...of: Parameters<typeof found>) => found(...of).flatMap((one) => one.statements);

describe('what of two catalogs loosens', () => {
  it('is repeated by statements that touch no row', () => {
    const column = (left: string, right: string) => statements('column', 'a.t.c', left, right);
    const type = (to: string) => [`ALTER TABLE a.t ALTER COLUMN c TYPE ${to}`];
    for (const [from, to] of [
      ['character varying(20)', 'character varying(50)'],
      ['character varying(20)', 'text'],
      ['numeric(6,2)', 'numeric(8,2)'],
      ['numeric(6,2)', 'numeric'],
      ['timestamp(0) without time zone', 'timestamp(3) without time zone'],
      ['bit varying(3)', 'bit varying(4)'],
    ] as const)
      expect(column(from, to), to).to.deep.equal(type(to));
    expect(column('text\nNOT NULL\nDEFAULT 1', 'text\nDEFAULT 2')).to.deep.equal([
      'ALTER TABLE a.t ALTER COLUMN c DROP NOT NULL',
    ]);
    // Of a partition it comes along with that of its table.
    expect(found('column', 'a.t.c', 'text\nNOT NULL\ninherited', 'text\ninherited')[0]).to.deep.include({
      statements: [],
    });
    expect(statements('constraint', 'a.t.k', 'CHECK ((n > 1))')).to.deep.equal([
      'ALTER TABLE a.t DROP CONSTRAINT IF EXISTS k',
    ]);
    expect(statements('constraint', 'a.d.k', 'CHECK ((VALUE > 1))', 'CHECK ((VALUE > 0))')).to.deep.equal([
      'ALTER DOMAIN a.d DROP CONSTRAINT IF EXISTS k',
      'ALTER DOMAIN a.d ADD CONSTRAINT k CHECK ((VALUE > 1) OR (VALUE > 0)) NOT VALID',
    ]);
    // An earlier try has done it.
    const either = 'CHECK (((VALUE > 1) OR (VALUE > 0))) NOT VALID';
    expect(found('constraint', 'a.d.k', either, 'CHECK ((VALUE > 0))')).to.deep.equal([]);
    expect(statements('constraint', 'a.t.k', 'FOREIGN KEY (p) REFERENCES a.p(id) ON DELETE CASCADE')).to.deep.equal([
      'ALTER TABLE a.t DROP CONSTRAINT k, ADD CONSTRAINT k FOREIGN KEY (p) REFERENCES a.p(id) ON DELETE CASCADE NOT VALID',
    ]);
    expect(statements('domain', 'a.d', 'owner o\ntext NOT NULL', 'owner o\ntext')).to.deep.equal([
      'ALTER DOMAIN a.d DROP NOT NULL',
    ]);
    expect(
      statements('table', 'a.m_2', undefined, 'owner "Shop"\nPARTITION OF a.m\nFOR VALUES FROM (1) TO (2)'),
    ).to.deep.equal(['CREATE TABLE a.m_2 PARTITION OF a.m FOR VALUES FROM (1) TO (2)']);
  });

  it('is only said where the old version would not be indifferent', () => {
    for (const [kind, name, left, right] of [
      ['column', 'a.t.c', 'integer', 'bigint'],
      ['column', 'a.t.c', 'numeric(6,2)', 'numeric(8,4)'],
      ['column', 'a.t.c', 'character(3)', 'character(5)'],
      ['constraint', 'a.t.k', 'UNIQUE (c)', undefined],
      ['constraint', 'a.t.k', 'EXCLUDE USING gist (c WITH &&)', undefined],
      ['index', 'a.i', 'CREATE UNIQUE INDEX i ON a.t USING btree (c)', undefined],
    ] as const) {
      const [one] = found(kind, name, left, right);
      expect(one, name).to.include.keys('not');
      expect(one?.statements, name).to.deep.equal([]);
    }
  });

  it('is nothing that restricts, that is new, or that only reads in another way', () => {
    for (const [kind, name, left, right] of [
      ['column', 'a.t.c', 'character varying(50)', 'character varying(20)'],
      ['column', 'a.t.c', 'text', 'integer'],
      ['column', 'a.t.c', 'text', 'text\nNOT NULL'],
      ['column', 'a.v.c', 'character varying(20)', 'text'],
      ['column', 'a.t.c', 'text', undefined],
      ['column', 'a.t.c', undefined, 'text'],
      ['constraint', 'a.t.k', `CHECK (((c)::text <> ''::text))`, `CHECK ((c <> ''::text))`],
      ['constraint', 'a.t.k', 'CHECK ((n > 1)) NOT VALID', 'CHECK ((n > 1))'],
      ['constraint', 'a.t.k', undefined, 'CHECK ((n > 1))'],
      ['index', 'a.i', 'CREATE INDEX i ON a.t USING btree (c)', undefined],
      ['table', 'a.n', undefined, 'owner o\nUSING heap'],
      ['type', 'a.e', `owner o\nENUM 'a', 'b'`, `owner o\nENUM 'a'`],
      ['function', 'a.f()', 'x', 'y'],
    ] as const)
      expect(found(kind, name, left, right), `${name} ${left ?? ''}`).to.deep.equal([]);
  });

  it('puts values of an enum where they are, and reads the bounds of a partition', () => {
    expect(newValues('a.e', `owner o\nENUM 'b'`, `owner o\nENUM E'a\\\\', 'b', 'it''s, c'`)).to.deep.equal([
      `ALTER TYPE a.e ADD VALUE E'a\\\\' BEFORE 'b'`,
      `ALTER TYPE a.e ADD VALUE 'it''s, c'`,
    ]);
    expect(newValues('a.e', `owner o\nENUM 'a', 'b'`, `owner o\nENUM 'b', 'a', 'c'`)).to.equal(undefined);
    expect(
      partitionOf('owner o\nUSING heap\nPARTITION BY LIST (k)\nPARTITION OF a.m\nDEFAULT\nREPLICA IDENTITY f'),
    ).to.deep.equal({
      owner: 'o',
      parent: 'a.m',
      bound: 'DEFAULT',
      divided: 'PARTITION BY LIST (k)',
      options: '',
      full: true,
    });
    expect(partitionOf('owner o\nINHERITS a.m')).to.equal(undefined);
  });
});
