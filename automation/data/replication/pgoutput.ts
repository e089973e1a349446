/**
 * Decodes messages of PostgreSQL's `pgoutput` plug-in, protocol version 1 ("Logical Replication Message Formats"), as far as a
 * subscriber needs them to apply changes. pg-logical-replication does not fit: it does not export its decoder, and it converts
 * values by type, while PostgreSQL takes them in their text form.
 */

/** A row's columns in text form. A large value that an update left unchanged is not sent, and absent. Inherits nothing: a column may be called `constructor`. */
export type Tuple = Record<string, string | null>;

export interface Relation {
  schema: string;
  name: string;
  columns: string[];
  /** Columns that identify a row: those of a key, or all of them. */
  key: string[];
  /** Whether the publisher sends whole old rows (REPLICA IDENTITY FULL). */
  full: boolean;
}

export type Change =
  | { kind: 'insert'; relation: Relation; values: Tuple }
  /** `old`: the row before, as far as its identity was sent; absent where the key has not changed. */
  | { kind: 'update'; relation: Relation; values: Tuple; old?: Tuple }
  | { kind: 'delete'; relation: Relation; old: Tuple }
  | { kind: 'truncate'; relations: Relation[]; restartSequences: boolean };

/** `commitLsn`: where the commit of the transaction begins in the publisher's log. */
export type Message = { kind: 'begin'; commitLsn: bigint } | { kind: 'commit' } | Change;

/** Decodes the messages of one stream in order: each relation is described before its first change. */
export class Decoder {
  readonly #relations = new Map<number, Relation>();

  /** Undefined for a message that a subscriber applies nothing for. Throws a RangeError if it is cut off. */
  decode(message: Buffer): Message | undefined {
    const reader = new Reader(message);
    const type = reader.character();
    switch (type) {
      case 'B':
        return { kind: 'begin', commitLsn: reader.int64() };
      case 'C':
        return { kind: 'commit' };
      case 'R':
        this.#describe(reader);
        return undefined;
      case 'I':
      case 'U':
      case 'D': {
        const relation = this.#relations.get(reader.int32());
        return relation && rowChange(type, reader, relation);
      }
      case 'T': {
        const count = reader.int32();
        const restartSequences = (reader.byte() & 2) !== 0;
        const relations = Array.from({ length: count }, () => this.#relations.get(reader.int32()));
        return { kind: 'truncate', relations: relations.filter((r) => r !== undefined), restartSequences };
      }
      default:
        return undefined;
    }
  }

  #describe(reader: Reader): void {
    const id = reader.int32();
    const schema = reader.text() || 'pg_catalog';
    const name = reader.text();
    const full = reader.character() === 'f';
    const columns = Array.from({ length: reader.int16() }, () => {
      const key = (reader.byte() & 1) !== 0;
      const column = reader.text();
      reader.skip(8);
      return { column, key };
    });
    const key = columns.filter((c) => c.key).map((c) => c.column);
    this.#relations.set(id, { schema, name, columns: columns.map((c) => c.column), key, full });
  }
}

function rowChange(type: 'I' | 'U' | 'D', reader: Reader, relation: Relation): Change {
  const part = reader.character();
  const first = tuple(reader, relation);
  if (type === 'I') return { kind: 'insert', relation, values: first };
  if (type === 'D') return { kind: 'delete', relation, old: first };
  if (part === 'N') return { kind: 'update', relation, values: first };
  reader.skip(1);
  return { kind: 'update', relation, values: tuple(reader, relation), old: first };
}

function tuple(reader: Reader, relation: Relation): Tuple {
  const values = Object.create(null) as Tuple;
  const count = reader.int16();
  for (let index = 0; index < count; index++) {
    const kind = reader.character();
    const value = kind === 't' ? reader.bytes(reader.int32()).toString('utf8') : null;
    const name = relation.columns[index];
    if (name !== undefined && kind !== 'u') values[name] = value;
  }
  return values;
}

class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }

  character = (): string => this.bytes(1).toString('latin1');
  byte = (): number => this.bytes(1).readUInt8();
  int16 = (): number => this.bytes(2).readInt16BE();
  int32 = (): number => this.bytes(4).readInt32BE();
  int64 = (): bigint => this.bytes(8).readBigUInt64BE();

  bytes(count: number): Buffer {
    const part = this.#buffer.subarray(this.#at, this.#at + count);
    if (part.length < count) throw new RangeError('message is cut off');
    this.#at += count;
    return part;
  }

  /** Up to the next zero byte. */
  text(): string {
    const end = this.#buffer.indexOf(0, this.#at);
    const text = this.bytes(end - this.#at).toString('utf8');
    this.skip(1);
    return text;
  }
}
