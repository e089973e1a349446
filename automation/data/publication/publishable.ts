import pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { tablesOf } from '../catalog.ts';
import { rows } from '../connect.ts';
import { obstacles } from './flow.ts';
import { identitiesOf, type Identity, type Relation } from './identity.ts';
import { tryPublication, type Refusal } from './publication.ts';

/** A reason why a database cannot be replicated (error), or a fact that an operator should know (warning). */
export interface Finding {
  severity: 'error' | 'warning';
  side: 'live' | 'inactive';
  /** What was found, including the name of the object. */
  found: string;
  cure: string;
}

export type Found = Omit<Finding, 'side'>;

/** Reasons why the live tables cannot be published, or not followed on a copy with the same schema. */
export async function tablesCanBePublished(client: pg.Client): Promise<Found[]> {
  const [tables, identities] = [await tablesOf(client), await identitiesOf(client)];
  const findings: Found[] = [];
  const error = (found: string, cure: string) => findings.push({ severity: 'error', found, cure });
  for (const table of tables) {
    if (table.owner !== 'owner')
      error(`table ${table.name} belongs to ${table.owner}`, `ALTER TABLE ${table.sql} OWNER TO owner`);
  }
  const unlogged = identities.flatMap(({ name, leaves, unlogged, sql }) =>
    unlogged ? [{ name, sql }] : leaves.filter((leaf) => leaf.unlogged),
  );
  for (const { name, sql } of unlogged)
    error(`table ${name} is unlogged, so its rows are not replicated`, `ALTER TABLE ${sql} SET LOGGED, or drop it`);

  const publishable = tables
    .filter(({ name }) => !unlogged.some((u) => u.name === name))
    .map(({ sql, partitioned }) => ({ sql, partitioned }));
  const refusals = await tryPublication(client, publishable, identities);
  const guards = (await rows<{ name: string }>(client, guardsSql)).map(({ name }) => name);
  for (const identity of identities) {
    const mine = refusals.filter(({ table }) => table === identity.name);
    if (mine.length > 0) findings.push(...explain(identity, mine, guards));
  }
  const refused = new Set(refusals.map(({ table }) => table));
  const names = { from: 'the live side', to: 'the copy' };
  for (const { table, found, cure } of obstacles(identities, identities, false, names))
    if (!refused.has(table)) error(found, cure);
  return [...findings, ...identities.flatMap(bornWithout)];
}

/** One finding per cause. Relations of one table with the same cause are named together. */
function explain(identity: Identity, refusals: Refusal[], guards: string[]): Found[] {
  const causes = new Map<string, { relation: Relation; refusal: Refusal }[]>();
  for (const refusal of refusals) {
    const relation = identity.leaves.find(({ name }) => name === refusal.relation) ?? identity;
    const cause = refusal.cause === 'locked' ? 'locked' : causeOf(identity, relation, refusal);
    causes.set(cause, [...(causes.get(cause) ?? []), { relation, refusal }]);
  }
  return [...causes].map(([cause, members]) => ({
    severity: 'error',
    found: `table ${members.map(({ relation }) => relation.name).join(', ')} ${cause === 'locked' ? 'is locked by somebody who changes or indexes it, so it cannot be published now' : cause}`,
    cure:
      cause === 'locked'
        ? whoLocks(members[0]?.relation ?? identity)
        : members[0]?.refusal.cause === 'other'
          ? whoRefuses(guards)
          : cureOf(
              identity,
              members.map(({ relation }) => relation),
            ),
  }));
}

const fails = 'once published, every UPDATE and DELETE on it fails';

function causeOf(
  identity: Identity,
  { name, replident, key, deferrable }: Relation,
  { cause, message }: Refusal,
): string {
  if (cause !== 'unidentified') return `cannot be published: ${message}`;
  const ofRoot = name === identity.name ? '' : ` (partition of ${identity.name})`;
  if (replident === 'n') return `was told to have no identity (REPLICA IDENTITY NOTHING)${ofRoot}: ${fails}`;
  if (replident === 'i') return `has lost the index that its REPLICA IDENTITY names${ofRoot}: ${fails}`;
  if (deferrable !== null) return `has a primary key that is deferrable, which identifies no row${ofRoot}: ${fails}`;
  if (key.length > 0) return `cannot be published: ${message}`;
  if (ofRoot !== '' && identity.replident === 'f')
    return `has no primary key${ofRoot}, and REPLICA IDENTITY FULL of the root is not its own: ${fails}`;
  return `has no primary key${ofRoot}: ${fails}`;
}

function cureOf(identity: Identity, relations: Relation[]): string {
  const [first] = relations;
  const all = [...(identity.partitioned && identity.replident !== 'f' ? [identity] : []), ...relations];
  const full =
    identity.columns.length === 0
      ? 'drop it where nothing needs it: it has no column that is sent'
      : all.map(({ sql }) => `ALTER TABLE ${sql} REPLICA IDENTITY FULL`).join('; ');
  if (first === undefined) return full;
  if (first.key.length > 0) return relations.map(({ sql }) => `ALTER TABLE ${sql} REPLICA IDENTITY DEFAULT`).join('; ');
  if (first.deferrable !== null) {
    const { name, columns } = identity.deferrable ?? first.deferrable;
    const quoted = `(${columns.map(sqlIdentifier).join(', ')})`;
    return `ALTER TABLE ${identity.sql} DROP CONSTRAINT ${sqlIdentifier(name)}, ADD CONSTRAINT ${sqlIdentifier(name)} PRIMARY KEY ${quoted}; where it has to be deferrable: ${full}`;
  }
  if (first.candidate !== null && !identity.partitioned)
    return `ALTER TABLE ${first.sql} REPLICA IDENTITY USING INDEX ${first.candidate}; or, slower: ${full}`;
  return `add a primary key${identity.partitioned ? ` to ${identity.name}` : ''}, or: ${full}`;
}

/** Event triggers that may refuse a publication. */
const guardsSql = `
  SELECT quote_ident(evtname) AS name FROM pg_event_trigger WHERE evtevent IN ('ddl_command_start', 'ddl_command_end') AND evtenabled IN ('O', 'A')
    AND (evttags IS NULL OR 'CREATE PUBLICATION' = ANY (evttags)) ORDER BY 1`;

const whoRefuses = (guards: string[]): string =>
  guards.length === 0
    ? 'let PostgreSQL publish it: it says why it does not'
    : `where an event trigger refuses it, switch that off: ${guards.map((name) => `ALTER EVENT TRIGGER ${name} DISABLE`).join('; ')}`;

const whoLocks = ({ sql }: Relation): string =>
  `wait for it, or see who: SELECT pid, mode FROM pg_locks WHERE relation = ${pg.escapeLiteral(sql)}::regclass`;

/**
 * A new partition does not inherit its root's REPLICA IDENTITY. If it is created while the table is published, its rows can be
 * inserted but neither updated nor deleted.
 */
function bornWithout({ name, partitioned, key, leaves }: Identity): Found[] {
  if (!partitioned || key.length > 0 || leaves.length === 0) return [];
  return [
    {
      severity: 'warning',
      found: `table ${name} has no primary key of its own: on a partition that is made during the release every UPDATE and DELETE fails`,
      cure: `create none until the release is over, or give each its identity at once: ALTER TABLE <partition> REPLICA IDENTITY FULL`,
    },
  ];
}
