import type pg from 'pg';
import { row, rows } from '../connect.ts';
import { foundBy, identitiesOf, type Relation } from './identity.ts';
import type { Found } from './publishable.ts';

/** Rows up to which a scan for each changed row is no matter: it takes some milliseconds. */
const fewRows = 10_000;
/** Rows per second that an apply worker compares with the wanted one. Measured: see `docs/architecture/data.md`. */
const comparedPerSecond = 6_000_000;
/** Share of the follower's time that such scans may take. Above it the lag would never be small enough for a cutover. */
const mostTime = 0.5;
/** Changes whose cost a message names. */
const exampleChanges = 500;

/** From this version on the follower uses an index of the table, where there is a suitable one. */
const indexVersion = 160_000;

interface Size {
  name: string;
  rows: number;
  /** UPDATEs and DELETEs per second since the statistics were reset; null if nobody knows when that was. */
  changes: number | null;
  indexed: boolean;
}

/**
 * Tables without a key of which the follower has to read every row for each that is changed. An error where the application changes
 * so many that the follower could not keep up.
 */
export async function wholeRows(client: pg.Client): Promise<Found[]> {
  const identities = await identitiesOf(client);
  const whole = identities.flatMap(({ leaves }) => leaves.filter((leaf) => foundBy(leaf).length === 0));
  if (whole.length === 0) return [];
  const { version } = await row<{ version: number }>(client, versionSql);
  const sizes = await rows<Size>(client, sizesSql, [whole.map(({ sql }) => sql)]);
  return sizes
    .filter(({ rows: count, indexed }) => count > fewRows && !(version >= indexVersion && indexed))
    .map((size) =>
      explain(
        size,
        whole.find(({ sql }) => sql === size.name),
      ),
    );
}

function explain({ name, rows: count, changes }: Size, relation: Relation | undefined): Found {
  const perChange = count / comparedPerSecond;
  const tooMany = changes !== null && changes * perChange > mostTime;
  const rate = changes === null || changes === 0 ? '' : `; the application changes ${changes.toPrecision(2)} a second`;
  return {
    severity: tooMany ? 'error' : 'warning',
    found: `table ${relation?.name ?? name} has no key, and about ${Math.round(count)} rows: the follower reads them all for each row that is changed, about ${Math.ceil(perChange * exampleChanges)} s for ${exampleChanges} of them${rate}`,
    cure: `add a primary key; or a unique index on columns that are NOT NULL, and ALTER TABLE ${name} REPLICA IDENTITY USING INDEX <that index>`,
  };
}

const versionSql = `SELECT current_setting('server_version_num')::int AS version`;

/** A table that was never analysed has no estimate: its size gives one. */
const sizesSql = `
  SELECT q.name, (CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 100 END)::float8 AS rows,
    (s.n_tup_upd + s.n_tup_del) / extract(epoch FROM now() - d.stats_reset)::float8 AS changes,
    EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
      WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] <> 0 AND m.amname = 'btree') AS indexed
  FROM unnest($1::text[]) AS q (name) JOIN pg_class c ON c.oid = q.name::regclass LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
    LEFT JOIN pg_stat_database d ON d.datname = current_database() ORDER BY 1`;
