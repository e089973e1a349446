import { createHash } from 'node:crypto';
import type pg from 'pg';
import { grantedWrites } from '../../../infra/application/roles.ts';
import { sessionSettings } from '../../../infra/application/session-settings.ts';
import { keyOf, type DatabaseObject, type ObjectDifference } from '../objects/compare.ts';
import { readObjects } from '../objects/read.ts';
import { rows } from '../connect.ts';
import { isOurs } from '../link.ts';

/**
 * What the catalog of the inactive colour was when it was copied, and what the expand migrations made of it. It lies in that
 * database, so that whoever looks at a replication later knows what they added: each release, `status`, a rollback.
 */

/** Hashes of one object's definition; null where it was not there. */
export interface Recorded {
  copied: string | null;
  expanded: string | null;
}

export const hashOf = (definition: string | undefined): string | null =>
  definition === undefined ? null : createHash('sha256').update(definition).digest('hex').slice(0, 32);

/**
 * The objects that a copy should have as its source has them. Subscriptions and slots belong to a place and not to the data: those of
 * others are named in the plan. The right to write moves with the writes, and so do event triggers (`triggers.ts`).
 */
export const carried = (objects: DatabaseObject[]): DatabaseObject[] =>
  objects
    .filter((object) => !isOfPlace(object))
    .map((object) =>
      object.kind === 'event trigger'
        ? { ...object, definition: object.definition.replace(/\nenabled: .$/, '') }
        : object,
    );

const isOfPlace = ({ kind, name, definition }: DatabaseObject): boolean =>
  kind === 'subscription' ||
  kind === 'replication slot' ||
  (kind === 'publication' && isOurs(name)) ||
  (kind === 'comment' && isOurs(name.replace('on publication ', ''))) ||
  (kind === 'membership' && name === grantedWrites) ||
  (kind === 'setting' && name.endsWith(' in this database') && ownSettings.has(definition));

/** What a replication sets for the roles that it logs in as (`replicationSettings`). Which there are depends on the server's version. */
const ownSettings = new Set(
  Object.entries({ ...sessionSettings, transaction_timeout: '0' }).map(([name, value]) => `${name}=${value}`),
);

const columns = (objects: DatabaseObject[]): string[][] => {
  const recorded = carried(objects);
  return [
    recorded.map(({ kind }) => kind),
    recorded.map(({ name }) => name),
    recorded.map(({ definition }) => hashOf(definition) as string),
  ];
};

/** Records the catalog of a copy as `objects`, read before anything was changed there. Replaces the record that came with the copy. */
export async function recordCopied(copy: pg.Client, objects: DatabaseObject[]): Promise<void> {
  await copy.query(
    `BEGIN; CREATE SCHEMA IF NOT EXISTS greenlight; DROP TABLE IF EXISTS greenlight.objects;
     CREATE TABLE greenlight.objects (kind text, name text, copied text, expanded text, PRIMARY KEY (kind, name))`,
  );
  await copy.query(
    'INSERT INTO greenlight.objects SELECT k, n, h, h FROM unnest($1::text[], $2::text[], $3::text[]) AS x (k, n, h)',
    columns(objects),
  );
  await copy.query('COMMIT');
}

/** Records the catalog as it is now: what Greenlight and the expand migrations have changed since the copy. */
export async function recordExpanded(copy: pg.Client): Promise<void> {
  const objects = await readObjects(copy);
  await copy.query(
    `WITH now AS (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS x (kind, name, hash)),
       gone AS (UPDATE greenlight.objects o SET expanded = NULL WHERE NOT EXISTS (SELECT FROM now WHERE (now.kind, now.name) = (o.kind, o.name)))
     INSERT INTO greenlight.objects AS o SELECT kind, name, NULL, hash FROM now
     ON CONFLICT (kind, name) DO UPDATE SET expanded = excluded.expanded WHERE o.expanded IS DISTINCT FROM excluded.expanded`,
    columns(objects),
  );
}

/** Changes a side of the record, where there is one: what Greenlight itself has changed there since. A hash of null: it is not there. */
export async function amendRecord(
  copy: pg.Client,
  side: keyof Recorded,
  objects: { kind: string; name: string; hash: string | null }[],
): Promise<void> {
  if (objects.length === 0 || !(await isRecorded(copy))) return;
  await copy.query(
    `INSERT INTO greenlight.objects AS o (kind, name, ${side}) SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
     ON CONFLICT (kind, name) DO UPDATE SET ${side} = excluded.${side}`,
    [objects.map(({ kind }) => kind), objects.map(({ name }) => name), objects.map(({ hash }) => hash)],
  );
}

/** Whether the expand migrations, or Greenlight, have changed anything on a copy. */
export const isExpanded = async (copy: pg.Client): Promise<boolean> =>
  (await isRecorded(copy)) &&
  (await rows(copy, 'SELECT FROM greenlight.objects WHERE copied IS DISTINCT FROM expanded LIMIT 1')).length > 0;

/** Whether a copy has a record of its own. One that came with the rows of `greenlight` has none: `copySchema` leaves it out. */
export const isRecorded = async (copy: pg.Client): Promise<boolean> => {
  const [table] = await rows<{ there: boolean }>(copy, `SELECT to_regclass('greenlight.objects') IS NOT NULL AS there`);
  return table?.there === true && (await rows(copy, 'SELECT FROM greenlight.objects LIMIT 1')).length > 0;
};

/** What is recorded of these objects, by key. Empty where nothing was recorded. */
export async function recordedOf(copy: pg.Client, differences: ObjectDifference[]): Promise<Map<string, Recorded>> {
  if (!(await isRecorded(copy))) return new Map();
  const found = await rows<Recorded & { kind: string; name: string }>(
    copy,
    `SELECT o.* FROM greenlight.objects o JOIN unnest($1::text[], $2::text[]) AS x (kind, name) USING (kind, name)`,
    [differences.map(({ kind }) => kind), differences.map(({ name }) => name)],
  );
  return new Map(found.map((record) => [keyOf(record), record]));
}
