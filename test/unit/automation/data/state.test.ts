import { expect } from 'chai';
import { schemaChanges } from '../../../../automation/data/replication/fingerprint.ts';
import { describeKey, type Table } from '../../../../automation/data/catalog.ts';
import { sharedTables } from '../../../../automation/data/publication/publication.ts';
import { rowChanges } from '../../../../automation/data/replication/pgoutput.ts';
import { behind } from '../../../../automation/data/replication/sequences.ts';

describe('a sequence is carried over', () => {
  const at = (value: bigint, called: boolean) => ({ value, called });
  it('if the other side would repeat a number, and never backwards', () => {
    expect(behind(at(1n, false), at(1n, true), true)).to.equal(true);
    expect(behind(at(1n, true), at(1n, false), true)).to.equal(false);
    expect(behind(at(5n, true), at(9n, true), true)).to.equal(true);
    expect(behind(at(9n, true), at(5n, true), true)).to.equal(false);
    expect(behind(at(-5n, true), at(-9n, true), false)).to.equal(true);
  });
});

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
  it('say how a schema changed', () => {
    expect(schemaChanges({ a: '1', b: '1', d: '1' }, { a: '1', b: '2', c: '1' })).to.deep.equal([
      'b was changed',
      'c was added',
      'd was dropped',
    ]);
  });
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

  it('become changes of rows', () => {
    const insert = Buffer.concat([Buffer.from('I'), int32(7), tuple('N', '1', 'é')]);
    const update = Buffer.concat([Buffer.from('U'), int32(7), tuple('K', '1', null), tuple('N', '2', 'x')]);
    const remove = Buffer.concat([Buffer.from('D'), int32(7), tuple('K', '2', null)]);
    const unknown = Buffer.concat([Buffer.from('I'), int32(8), tuple('N', '1')]);
    expect(rowChanges([Buffer.from('B'), relation, insert, unknown, update, remove, Buffer.from('C')])).to.deep.equal([
      { kind: 'insert', table: 'public.a', values: { id: '1', näme: 'é' } },
      { kind: 'update', table: 'public.a', values: { id: '2', näme: 'x' }, old: { id: '1', näme: null } },
      { kind: 'delete', table: 'public.a', values: { id: '2', näme: null } },
    ]);
    expect(() => rowChanges([relation, insert.subarray(0, 12)])).to.throw(RangeError);
  });

  it('say what an update has not sent, and which tables were emptied', () => {
    const large = Buffer.concat([Buffer.from('N'), int16(2), value('1'), Buffer.from('u')]);
    const update = Buffer.concat([Buffer.from('U'), int32(7), large]);
    const truncate = Buffer.concat([Buffer.from('T'), int32(2), Buffer.from([0]), int32(7), int32(8)]);
    expect(rowChanges([relation, update, truncate])).to.deep.equal([
      { kind: 'update', table: 'public.a', values: { id: '1', näme: null }, unsent: ['näme'] },
      { kind: 'truncate', table: 'public.a', values: {} },
    ]);
  });
});
