import type pg from 'pg';
import { fromTable } from '../catalog.ts';
import { row, rows } from '../connect.ts';
import { reading, relationsOf, type Source } from './reading.ts';

/** A part of a table that one statement reads. */
export interface Piece {
  /** `FROM` clause, with a condition where it is a part. */
  from: string;
  /** Rejects with `Rewritten` if the table's rows are not where they were when it was divided. Within the lock that read it. */
  check(client: pg.Client): Promise<void>;
}

/** A table was rewritten (VACUUM FULL, CLUSTER) between the reading of two of its pieces, whose rows have other places since. */
export class Rewritten extends Error {}

/** A table below this size is read by one session, bytes. */
const worthDividing = 32 * 1024 * 1024;
/** Pieces per session: the sessions then end at about the same time. */
const piecesPerSession = 3;

export const whole = ({ table, logged }: Pick<Source, 'table' | 'logged'>): Piece => ({
  from: fromTable(table) + (logged === true ? ` WHERE ${isLogged}` : ''),
  check: () => Promise.resolve(),
});
const isLogged = `tableoid <> ALL (ARRAY(SELECT oid FROM pg_class WHERE relpersistence = 'u'))`;

interface Relation {
  name: string;
  oid: string;
  /** Bytes, with its out-of-line values. */
  bytes: number;
  blocks: number;
  /** Null for a relation that is no heap: it has no ranges of blocks. */
  node: string | null;
}

/**
 * Divides a table among the sessions of its snapshot: by partitions, and large ones by ranges of blocks. PostgreSQL reads such a range
 * by itself (TID range scan). Rows that the snapshot sees cannot lie behind the blocks that the table has.
 */
export async function piecesOf(source: Source): Promise<Piece[]> {
  const { snapshot, table } = source;
  if (snapshot.size === 1) return [whole(source)];
  const relations = await reading(source, (client) =>
    rows<Relation>(client, leaves, [table.sql, source.logged === true]),
  );
  const bytes = relations.reduce((sum, one) => sum + one.bytes, 0);
  if (bytes < worthDividing) return [whole(source)];
  const share = Math.max(worthDividing / 2, bytes / (snapshot.size * piecesPerSession));
  return relations.flatMap((relation) => divided(relation, share));
}

const leaves = `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name, c.oid::text AS oid,
    pg_table_size(c.oid)::float8 AS bytes, pg_relation_size(c.oid)::float8 / current_setting('block_size')::int AS blocks,
    CASE WHEN a.amname = 'heap' THEN pg_relation_filenode(c.oid)::text END AS node
  FROM ${relationsOf} JOIN pg_class c ON c.oid = relid JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_am a ON a.oid = c.relam
  WHERE c.relkind <> 'p' AND NOT ($2 AND c.relpersistence = 'u') ORDER BY 3 DESC`;

function divided({ name, oid, bytes, blocks, node }: Relation, share: number): Piece[] {
  const parts = node === null ? 1 : Math.min(blocks, Math.ceil(bytes / share));
  if (parts <= 1) return [{ from: `ONLY ${name}`, check: () => Promise.resolve() }];
  const check = async (client: pg.Client): Promise<void> => {
    const sql = `SELECT pg_relation_filenode($1::oid)::text AS node`;
    if ((await row<{ node: string }>(client, sql, [oid])).node !== node) throw new Rewritten();
  };
  const at = (part: number): number => Math.floor((part * blocks) / parts);
  return Array.from({ length: parts }, (_, part) => {
    const upTo = part === parts - 1 ? '' : ` AND ctid < '(${at(part + 1)},0)'`;
    return { from: `ONLY ${name} WHERE ctid >= '(${at(part)},0)'${upTo}`, check };
  });
}
