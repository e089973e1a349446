import { expect } from 'chai';
import { describeKey, type Table } from '../../../../automation/data/catalog.ts';
import { sharedTables } from '../../../../automation/data/publication/publication.ts';
import { Decoder } from '../../../../automation/data/replication/pgoutput.ts';

describe('tables that flow back to an older schema', () => {
  const table = (name: string, ...columns: string[]): Table => ({
    name,
    sql: `"public"."${name}"`,
    partitioned: false,
    columns: columns.map((c) => ({ name: c, type: 'int', builtIn: 'int4', generated: c.startsWith('gen') })),
    primaryKey: ['id'],
    owner: 'owner',
  });
  it('are the shared ones, with a column list only if the new side has more columns', () => {
    const shared = sharedTables(
      [table('a', 'id', 'x', 'gen1'), table('b', 'id', 'extra'), table('c', 'id')],
      [table('a', 'id', 'x'), table('b', 'id')],
    );
    expect(shared).to.deep.equal([
      { sql: '"public"."a"', partitioned: false },
      { sql: '"public"."b"', partitioned: false, columns: ['id'] },
    ]);
  });
});

describe('messages for people', () => {
  it('show numeric keys and hash keys that may be personal', () => {
    const columns = [
      { name: 'id', type: 'bigint', builtIn: 'int8', generated: false },
      { name: 'email', type: 'text', builtIn: 'text', generated: false },
    ];
    const text = describeKey({ primaryKey: ['id', 'email'], columns }, ['5', 'me@example.invalid']);
    expect(text).to.match(/^id = 5, email = sha256:[0-9a-f]{8}$/);
  });
});

describe('messages of pgoutput', () => {
  const int16 = (n: number) => Buffer.from([n >> 8, n & 255]);
  const int32 = (n: number) => Buffer.concat([int16(n >> 16), int16(n & 65535)]);
  const text = (s: string) => Buffer.from(`${s}\0`);
  const value = (s: string | null) =>
    s === null ? Buffer.from('n') : Buffer.concat([Buffer.from('t'), int32(Buffer.byteLength(s)), Buffer.from(s)]);
  const tuple = (kind: string, ...values: (string | null)[]) =>
    Buffer.concat([Buffer.from(kind), int16(values.length), ...values.map(value)]);
  const column = (name: string) => Buffer.concat([Buffer.from([1]), text(name), int32(25), int32(-1)]);
  const relation = Buffer.concat([
    Buffer.from('R'),
    int32(7),
    text('public'),
    text('a'),
    Buffer.from('d'),
    int16(2),
    column('id'),
    column('näme'),
  ]);

  it('become changes of rows, with what identifies the row', () => {
    const decoder = new Decoder();
    const begin = Buffer.concat([Buffer.from('B'), int32(1), int32(2), Buffer.alloc(12)]);
    const insert = Buffer.concat([Buffer.from('I'), int32(7), tuple('N', '1', 'é')]);
    const update = Buffer.concat([Buffer.from('U'), int32(7), tuple('K', '1', null), tuple('N', '2', 'x')]);
    const remove = Buffer.concat([Buffer.from('D'), int32(7), tuple('K', '2', null)]);
    const large = Buffer.concat([Buffer.from('U'), int32(7), Buffer.from('N'), int16(2), value('3'), Buffer.from('u')]);
    const truncate = Buffer.concat([Buffer.from('T'), int32(1), Buffer.from([2]), int32(7)]);
    const unknown = Buffer.concat([Buffer.from('I'), int32(8), tuple('N', '1')]);
    const described = { schema: 'public', name: 'a', columns: ['id', 'näme'], key: ['id', 'näme'], full: false };
    const decoded = [begin, relation, insert, unknown, update, remove, large, truncate, Buffer.from('C')].map((m) =>
      decoder.decode(m),
    );
    expect(decoded.filter((message) => message !== undefined)).to.deep.equal([
      { kind: 'begin', commitLsn: 2n ** 32n + 2n },
      { kind: 'insert', relation: described, values: { id: '1', näme: 'é' } },
      { kind: 'update', relation: described, values: { id: '2', näme: 'x' }, old: { id: '1', näme: null } },
      { kind: 'delete', relation: described, old: { id: '2', näme: null } },
      { kind: 'update', relation: described, values: { id: '3' } },
      { kind: 'truncate', relations: [described], restartSequences: true },
      { kind: 'commit' },
    ]);
    expect(() => decoder.decode(insert.subarray(0, 12))).to.throw(RangeError);
  });
});
