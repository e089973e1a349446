import { foundBy, loggedBy, type Identity, type Relation } from './identity.ts';

/** Why the changes of a table cannot flow from one side to the other, and what would help. */
export interface Obstacle {
  table: string;
  found: string;
  cure: string;
}

/** Names of the sides in messages. */
export interface Names {
  from: string;
  to: string;
}

/**
 * Finds what prevents `to` from following `from`; their schemas may differ. `to` finds the row of an UPDATE or DELETE by its
 * own key, so `from` has to send that key's columns. Without a key it finds it by the whole row, which has to be the same on
 * both sides. `listed`: columns that `to` lacks are not published (the way back); otherwise all columns are.
 */
export function obstacles(from: Identity[], to: Identity[], listed: boolean, names: Names): Obstacle[] {
  return from.flatMap((table) => {
    const follower = to.find(({ name }) => name === table.name);
    const asPart = to.some(({ leaves }) => leaves.some(({ name }) => name === table.name));
    // On the way back a table that the other side lacks is not published.
    const absent = follower === undefined && !asPart && !listed ? gone(table, names) : undefined;
    const found = follower === undefined ? absent : obstacle(table, follower, listed, names);
    return found === undefined ? [] : [{ table: table.name, ...found }];
  });
}

type Found = Omit<Obstacle, 'table'>;

function obstacle(table: Identity, follower: Identity, listed: boolean, names: Names): Found | undefined {
  const sent = table.columns.filter((name) => follower.columns.includes(name));
  const unknown = table.columns.filter((name) => !sent.includes(name));
  const identity = loggedBy(table, table.columns);
  const uncovered = identity.filter((name) => !sent.includes(name));
  if (listed && uncovered.length > 0) return notCovered(table, follower, uncovered, names);
  if (!listed && unknown.length > 0) {
    return {
      found: `table ${table.name}: ${names.from} sends ${list(unknown)}, which ${names.to} does not have: its replication stops at the next change`,
      cure: 'keep the column, and drop or rename it in a contract migration',
    };
  }
  const key = identity.filter((name) => sent.includes(name));
  return notLogged(table, key) ?? firstOf(follower.leaves, (leaf) => notFound(table, follower, leaf, key, names));
}

const gone = ({ name }: Identity, { from, to }: Names): Found => ({
  found: `table ${name}: ${from} sends it, and ${to} does not have it as a table: its replication stops at the next change`,
  cure: 'keep the table, and drop, rename or replace it in a contract migration',
});

const firstOf = <T, R>(items: T[], look: (item: T) => R | undefined): R | undefined => {
  for (const item of items) {
    const found = look(item);
    if (found !== undefined) return found;
  }
  return undefined;
};

/** PostgreSQL refuses every UPDATE and DELETE on a table if the published columns lack one that identifies its rows. */
function notCovered(table: Identity, follower: Identity, uncovered: string[], { from, to }: Names): Found {
  const why = `of what tells its rows apart on ${from}, ${list(uncovered)} is not on ${to}: there is no way back for this table, as each UPDATE and DELETE on ${from} would fail`;
  const known = table.key.length > 0 && table.key.every((name) => follower.columns.includes(name));
  const cure =
    table.replident === 'f' && known
      ? `it has a key: ALTER TABLE ${table.sql} REPLICA IDENTITY DEFAULT in the same migration`
      : table.replident === 'f'
        ? `give it a primary key in a release of its own before this one; with REPLICA IDENTITY FULL no column can be added`
        : `add the column in one release and change the key in the next; or keep a unique index on ${list(foundByFirst(follower))}, and in the same migration: ALTER TABLE ${table.sql} REPLICA IDENTITY USING INDEX <that index>`;
  return { found: `table ${table.name}: ${why}`, cure };
}

const foundByFirst = (follower: Identity): string[] => foundBy(follower.leaves[0] ?? follower);

/** The root's identity decides what is sent, but each partition's own identity decides what its log contains. */
function notLogged(table: Identity, key: string[]): Found | undefined {
  const short = table.leaves.filter((leaf) => !key.every((name) => loggedBy(leaf, table.columns).includes(name)));
  if (short.length === 0) return undefined;
  const full = table.replident === 'f';
  const wanted = { f: 'FULL', i: "USING INDEX <its part of the root's index>", d: 'DEFAULT', n: 'DEFAULT' }[
    table.replident
  ];
  return {
    found: `table ${table.name} is replicated by ${full ? 'whole rows' : list(key)}, and of ${list(short.map(({ name }) => name))} the log has something else`,
    cure: short.map(({ sql }) => `ALTER TABLE ${sql} REPLICA IDENTITY ${wanted}`).join('; '),
  };
}

function notFound(
  table: Identity,
  follower: Identity,
  leaf: Relation,
  key: string[],
  { from, to }: Names,
): Found | undefined {
  const by = foundBy(leaf);
  const absent = by.filter((name) => !key.includes(name));
  if (by.length > 0 && absent.length === 0) return undefined;
  const stops = 'the replication stops at the first UPDATE or DELETE';
  const whole = sendWhole(table);
  if (key.length === 0) {
    return {
      found: `table ${leaf.name} has no key on ${from} that tells its rows apart, so ${to} cannot find them: ${stops}`,
      cure: `add the same primary key${table.partitioned ? ` to ${table.name} itself` : ' on both sides'}, or: ${whole}`,
    };
  }
  if (by.length > 0) {
    const generated = absent.every((name) => !follower.columns.includes(name));
    return {
      found: `table ${leaf.name}: ${to} finds a row by ${list(by)}, and ${from} sends ${list(key)}: ${stops}`,
      cure: generated
        ? `generated columns are not sent, and cannot be part of the key: keep a unique index on others, and ALTER TABLE ${leaf.sql} REPLICA IDENTITY USING INDEX <that index>`
        : `let both sides have the same key in this release: keep a unique index on ${list(key)}, and ALTER TABLE ${leaf.sql} REPLICA IDENTITY USING INDEX <that index>; change the key in a contract migration`,
    };
  }
  if (table.replident !== 'f') {
    return {
      found: `table ${leaf.name} has no key on ${to}, and ${from} does not send whole rows: ${stops}`,
      cure: `give both sides the same key, or: ${whole}`,
    };
  }
  const added = follower.columns.filter((name) => !table.columns.includes(name));
  if (added.length > 0) {
    return {
      found: `table ${leaf.name}: without a key ${to} looks for the whole row, and ${from} does not send ${list(added)}: an UPDATE or DELETE would be dropped silently`,
      cure: 'give it a primary key in a release of its own before this one; with REPLICA IDENTITY FULL no column can be added',
    };
  }
  if (follower.incomparable.length === 0) return undefined;
  return {
    found: `table ${leaf.name}: without a key ${to} compares whole rows, and PostgreSQL cannot compare ${list(follower.incomparable)}: ${stops}`,
    cure: 'give it a primary key; or change the type: jsonb instead of json, numbers instead of a point',
  };
}

/** What makes PostgreSQL compare whole rows of a table. It says nothing where no column is sent. */
const sendWhole = (table: Identity): string =>
  table.columns.length === 0
    ? 'drop it where nothing needs it: it has no column that is sent'
    : unfull(table)
        .map(({ sql }) => `ALTER TABLE ${sql} REPLICA IDENTITY FULL`)
        .join('; ');

const unfull = (table: Identity): Relation[] => [
  ...(table.replident === 'f' ? [] : [table]),
  ...(table.partitioned ? table.leaves.filter(({ replident }) => replident !== 'f') : []),
];

const list = (names: string[]): string => names.join(', ');
