/**
 * Decodes messages of PostgreSQL's `pgoutput` plug-in, protocol version 1 ("Logical Replication Message Formats"), as far as
 * they identify the changed row. pg-logical-replication does not fit: it does not export its decoder, and it converts values
 * by type, while keys are compared in their text form.
 */
export interface Change {
  kind: 'insert' | 'update' | 'delete' | 'truncate';
  /** `public.lessons`. */
  table: string;
  /** The new row's columns in text form (the old row's for a delete); null where NULL or not sent. */
  values: Record<string, string | null>;
  /** Columns of `values` that an update left as they were, too large to be sent. Absent: none. */
  unsent?: string[];
  /** What identified the row before an update, where that is not what `values` has. */
  old?: Record<string, string | null>;
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
    } else if (type === 'I' || type === 'U' || type === 'D') {
      const relation = relations.get(reader.int32());
      if (relation === undefined) continue;
      const part = reader.character();
      let row = tuple(reader, relation);
      let old: Change['old'];
      // An update may carry the old key first. The new row is the one that conflicts.
      if (type === 'U' && part !== 'N') {
        old = row.values;
        reader.skip(1);
        row = tuple(reader, relation);
      }
      const kind = ({ I: 'insert', U: 'update', D: 'delete' } as const)[type];
      changes.push({ kind, table: relation.table, ...row, ...(old === undefined ? {} : { old }) });
    } else if (type === 'T') {
      const count = reader.int32();
      reader.skip(1);
      for (let index = 0; index < count; index++) {
        const relation = relations.get(reader.int32());
        if (relation !== undefined) changes.push({ kind: 'truncate', table: relation.table, values: {} });
      }
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

function tuple(reader: Reader, relation: Relation): Pick<Change, 'values' | 'unsent'> {
  const values: Record<string, string | null> = {};
  const unsent: string[] = [];
  const count = reader.int16();
  for (let index = 0; index < count; index++) {
    const kind = reader.character();
    const value = kind === 't' ? reader.bytes(reader.int32()).toString('utf8') : null;
    const name = relation.columns[index];
    if (name !== undefined) values[name] = value;
    if (name !== undefined && kind === 'u') unsent.push(name);
  }
  return unsent.length === 0 ? { values } : { values, unsent };
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
