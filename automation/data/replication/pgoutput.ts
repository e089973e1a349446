/**
 * Decodes messages of PostgreSQL's `pgoutput` plug-in, protocol version 1 ("Logical Replication Message Formats"), as far as
 * they identify the changed row. pg-logical-replication does not fit: it does not export its decoder, and it converts values
 * by type, while keys are compared in their text form.
 */
export interface Change {
  kind: 'insert' | 'update' | 'delete' | 'truncate';
  /** `public.lessons`. TRUNCATE of several tables is a change of each. */
  table: string;
  /** The new row's columns in text form (the old row's for a delete); null where NULL or not sent. Of TRUNCATE none. */
  values: Record<string, string | null>;
}

interface Relation {
  table: string;
  columns: string[];
}

/** All row changes in `messages`, in order. Skips other messages. Throws a RangeError if a message is cut off. */
export function rowChanges(messages: Buffer[]): Change[] {
  const relations = new Map<number, Relation>();
  const changes: Change[] = [];
  for (const message of messages) {
    const reader = new Reader(message);
    const type = reader.character();
    if (type === 'R') {
      const id = reader.int32();
      const table = `${reader.text() || 'pg_catalog'}.${reader.text()}`;
      reader.skip(1);
      relations.set(id, { table, columns: Array.from({ length: reader.int16() }, () => column(reader)) });
    } else if (type === 'T') {
      const count = reader.int32();
      reader.skip(1);
      for (let index = 0; index < count; index++) {
        const table = relations.get(reader.int32())?.table;
        if (table !== undefined) changes.push({ kind: 'truncate', table, values: {} });
      }
    } else if (type === 'I' || type === 'U' || type === 'D') {
      const relation = relations.get(reader.int32());
      if (relation === undefined) continue;
      const part = reader.character();
      let values = tuple(reader, relation);
      // An update may carry the old key first. The new row is the one that conflicts.
      if (type === 'U' && part !== 'N') {
        reader.skip(1);
        values = tuple(reader, relation);
      }
      changes.push({ kind: ({ I: 'insert', U: 'update', D: 'delete' } as const)[type], table: relation.table, values });
    }
  }
  return changes;
}

function column(reader: Reader): string {
  reader.skip(1);
  const name = reader.text();
  reader.skip(8);
  return name;
}

function tuple(reader: Reader, relation: Relation): Record<string, string | null> {
  const values: Record<string, string | null> = {};
  const count = reader.int16();
  for (let index = 0; index < count; index++) {
    const kind = reader.character();
    const value = kind === 't' ? reader.bytes(reader.int32()).toString('utf8') : null;
    const name = relation.columns[index];
    if (name !== undefined) values[name] = value;
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
  int16 = (): number => this.bytes(2).readInt16BE();
  int32 = (): number => this.bytes(4).readInt32BE();

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
