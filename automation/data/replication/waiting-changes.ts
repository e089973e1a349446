import type pg from 'pg';
import { row, rows } from '../connect.ts';
import type { Link } from '../link.ts';
import { useTextForms } from '../text-forms.ts';
import { Decoder } from './pgoutput.ts';
import { byTable, type RowChange } from './row-statements.ts';

/** Reads from a slot what its subscriber has not applied. */

/** Changes that are read from the slot at once; a transaction is never divided. */
const batch = 5_000;

/** Whole transactions that the target does not have, in the order of their commits; `end`: of the last one. */
export async function nextChanges(
  link: Link,
  source: pg.Client,
  target: pg.Client,
): Promise<{ changes: RowChange[]; end: string | undefined }> {
  const { lsn } = await row<{ lsn: string }>(
    target,
    `SELECT coalesce(max(o.remote_lsn), '0/0')::text AS lsn FROM pg_subscription s
     LEFT JOIN pg_replication_origin_status o ON o.external_id = 'pg_' || s.oid WHERE s.subname = $1`,
    [link.name],
  );
  const applied = position(lsn);
  await source.query('BEGIN');
  try {
    // The slot shows values in the form of this session.
    await useTextForms(source);
    const found = await rows<{ data: Buffer }>(
      source,
      `SELECT data FROM pg_logical_slot_peek_binary_changes($1, NULL, $2, 'proto_version', '1', 'publication_names', $3)`,
      [link.name, batch, link.name],
    );
    return unapplied(
      found.map(({ data }) => data),
      applied,
    );
  } finally {
    await source.query('ROLLBACK');
  }
}

/** The changes of the transactions that end behind `applied`. */
function unapplied(messages: Buffer[], applied: bigint): { changes: RowChange[]; end: string | undefined } {
  const decoder = new Decoder();
  const changes: RowChange[] = [];
  let end: bigint | undefined;
  let transaction: RowChange[] = [];
  for (const data of messages) {
    // A table is described once only, perhaps in a transaction that is applied already: all messages are decoded.
    const message = decoder.decode(data);
    if (message === undefined || message.kind === 'begin') continue;
    if (message.kind !== 'commit') {
      transaction.push(...byTable(message));
      continue;
    }
    // Commit: flags (1 byte), LSN of the commit (8), LSN of its end (8).
    end = data.readBigUInt64BE(10);
    if (end > applied) changes.push(...transaction);
    transaction = [];
  }
  return { changes, end: end === undefined ? undefined : lsnOf(end) };
}

const position = (lsn: string): bigint => {
  const [high = '0', low = '0'] = lsn.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
};
const lsnOf = (at: bigint): string => `${(at >> 32n).toString(16)}/${(at & 0xffffffffn).toString(16)}`;
