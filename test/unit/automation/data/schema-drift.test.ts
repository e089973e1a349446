import { expect } from 'chai';
import { compareObjects, splitColumn } from '../../../../automation/data/objects/compare.ts';
import { linkBetween, type Side } from '../../../../automation/data/link.ts';
import { describeDrift, endangering, type SchemaDrift } from '../../../../automation/data/replication/schema-drift.ts';
import { statementsFor } from '../../../../automation/data/replication/replay-statements.ts';

const side = (colour: 'blue' | 'green') => ({ colour, access: { database: 'app' } }) as unknown as Side;
const link = linkBetween(side('blue'), side('green'));
const drift = (
  kind: string,
  name: string,
  left?: string,
  right?: string,
  more: Partial<SchemaDrift> = {},
): SchemaDrift => ({
  kind,
  name,
  ...(left === undefined ? {} : { left }),
  ...(right === undefined ? {} : { right }),
  on: 'blue',
  how: right === undefined ? 'added' : left === undefined ? 'dropped' : 'changed',
  migrated: false,
  ...more,
});

describe('objects of two catalogs', () => {
  it('differ where one is missing or has another definition', () => {
    const left = [
      { kind: 'view', name: 'a', definition: '1' },
      { kind: 'table', name: 'a', definition: '1' },
      { kind: 'table', name: 'b', definition: '1' },
    ];
    const right = [
      { kind: 'table', name: 'a', definition: '2' },
      { kind: 'table', name: 'b', definition: '1' },
      { kind: 'table', name: 'c', definition: '3' },
    ];
    expect(compareObjects(left, right)).to.deep.equal([
      { kind: 'table', name: 'a', left: '1', right: '2' },
      { kind: 'table', name: 'c', right: '3' },
      { kind: 'view', name: 'a', left: '1' },
    ]);
    expect(compareObjects(left, left)).to.deep.equal([]);
  });

  it('have columns whose names may be quoted', () => {
    expect(splitColumn('a.b.c')).to.deep.equal({ table: 'a.b', column: 'c' });
    expect(splitColumn('a.b."x.y"')).to.deep.equal({ table: 'a.b', column: '"x.y"' });
    expect(splitColumn('"q.r".b."c""d.e"')).to.deep.equal({ table: '"q.r".b', column: '"c""d.e"' });
  });
});

describe('differences of schemas', () => {
  it('are named, tables first, without what belongs to a table that came', () => {
    const found = [
      drift('column', 'shop.m_2.id', 'int'),
      drift('function', 'shop.price(integer)', 'a', 'b'),
      drift('grant', 'ON TABLE shop.m_2 TO app', 'SELECT'),
      drift('index', 'shop.by', 'CREATE INDEX by ON shop.m_2 (id)'),
      drift('index', 'shop.other', 'CREATE INDEX other ON shop.m_20 (id)'),
      drift('table', 'shop.m_2', 'x'),
    ];
    expect(describeDrift(found)).to.equal(
      'table shop.m_2 was added on blue, function shop.price(integer) was replaced on blue, index shop.other was added on blue',
    );
    const many = Array.from({ length: 10 }, (_, i) => drift('view', `v${i}`, 'x'));
    expect(describeDrift(many)).to.match(/and 2 more$/);
  });

  it('endanger rows where the other side may refuse or lack them', () => {
    const onGreen = { on: 'green' as const };
    const dangers = [
      drift('table', 'a', 'x'),
      drift('table', 'b', undefined, 'x'),
      drift('column', 'a.n', 'int', 'int\nNOT NULL'),
      drift('column', 'c.new', undefined, 'int\nNOT NULL', { ...onGreen, how: 'added' }),
      drift('constraint', 'c.short', undefined, 'CHECK', { ...onGreen, how: 'added' }),
      drift('index', 'u', undefined, 'CREATE UNIQUE INDEX u', { how: 'dropped' }),
      drift('type', 'mood', 'a, b', 'a'),
    ];
    const harmless = [
      drift('function', 'f()', 'a', 'b'),
      drift('column', 'a.d', 'int\nDEFAULT 1', 'int\nDEFAULT 2'),
      drift('column', 'c.new', undefined, 'int', { ...onGreen, how: 'added' }),
      drift('constraint', 'c.short', 'CHECK'),
      drift('index', 'i', undefined, 'CREATE INDEX i'),
      drift('table', 'late', undefined, 'x', { ...onGreen, how: 'added' }),
      drift('constraint', 'late.key', undefined, 'PRIMARY KEY', { ...onGreen, how: 'added' }),
    ];
    expect(endangering([...dangers, ...harmless], link)).to.deep.equal(dangers);
  });
});

describe('changes that are repeated on the side that follows', () => {
  const repeated = (...of: Parameters<typeof drift>) => statementsFor(drift(...of), link);

  it('are bodies, values of an enum, rights, comments and settings', () => {
    expect(repeated('view', 'a.v', 'owner o\nCREATE OR REPLACE VIEW a.v AS\nSELECT 2;', 'owner o\nx')).to.deep.equal([
      'SET LOCAL ROLE o',
      'CREATE OR REPLACE VIEW a.v AS\nSELECT 2',
      'RESET ROLE',
    ]);
    expect(repeated('type', 'a.t', `owner o\nENUM 'a', 'b', 'it''s'`, `owner o\nENUM 'a', 'b'`)).to.deep.equal([
      `ALTER TYPE a.t ADD VALUE 'it''s'`,
    ]);
    expect(repeated('type', 'a.t', `owner o\nENUM 'x', 'y', 'a', 'z'`, `owner o\nENUM 'a'`)).to.deep.equal([
      `ALTER TYPE a.t ADD VALUE 'x' BEFORE 'a'`,
      `ALTER TYPE a.t ADD VALUE 'y' BEFORE 'a'`,
      `ALTER TYPE a.t ADD VALUE 'z'`,
    ]);
    expect(repeated('grant', 'ON TABLE a." TO " TO app', 'INSERT, SELECT', 'DELETE, SELECT')).to.deep.equal([
      'REVOKE DELETE ON TABLE a." TO " FROM app',
      'GRANT INSERT, SELECT ON TABLE a." TO " TO app',
    ]);
    expect(repeated('missing grant', 'ON this database TO PUBLIC', 'CONNECT')).to.deep.equal([
      'REVOKE CONNECT ON DATABASE "app" FROM PUBLIC',
    ]);
    expect(repeated('comment', 'on table column a.t.c', `it's`)).to.deep.equal([`COMMENT ON COLUMN a.t.c IS 'it''s'`]);
    expect(repeated('setting', 'search_path of role app in this database', 'search_path=a, b')).to.deep.equal([
      'ALTER ROLE app IN DATABASE "app" SET search_path = a, b',
    ]);
    expect(repeated('setting', 'TimeZone of this database', undefined, 'TimeZone=UTC')).to.deep.equal([
      'ALTER DATABASE "app" RESET TimeZone',
    ]);
  });

  it('are nothing else', () => {
    for (const of of [
      ['table', 'a.t', 'x'],
      ['function', 'a.f()', undefined, 'owner o\nx'],
      ['function', 'a.f()', 'owner other\nx', 'owner o\nx'],
      ['view', 'a.v', 'owner o\nCREATE OR REPLACE VIEW a.v AS SELECT 1;\nWITH security_barrier=true', 'owner o\nx'],
      ['type', 'a.t', `owner o\nENUM 'b', 'c'`, `owner o\nENUM 'a'`],
      ['type', 'a.t', `owner o\nENUM 'b', 'a', 'c'`, `owner o\nENUM 'a', 'b'`],
      ['type', 'a.t', `owner other\nENUM 'a', 'b'`, `owner o\nENUM 'a'`],
      ['grant', 'ON TABLE a.t TO app', 'SELECT WITH GRANT OPTION'],
      ['comment', 'on operator a.+(integer,integer)', 'x'],
      ['setting', 'my.secret of role app', 'my.secret = sha256:1234'],
    ] as Parameters<typeof drift>[])
      expect(repeated(...of), of[1]).to.equal(undefined);
    const replaced = drift('function', 'a.f()', 'owner o\nx', 'owner o\ny');
    expect(statementsFor({ ...replaced, migrated: true }, link)).to.equal(undefined);
    expect(statementsFor({ ...replaced, on: 'green' }, link)).to.equal(undefined);
    expect(statementsFor(replaced, link)).to.have.length(3);
  });
});
