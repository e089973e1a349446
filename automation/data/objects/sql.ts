import { isSecretOption } from '../foreign.ts';

/** Pieces of the queries that read the catalog. Each query gives rows of `kind`, `name` and `definition`. */

/** SQL: the name of an object `alias.column` in schema `n`, quoted where it has to be. */
export const named = (column: string): string => `format('%I.%I', n.nspname, ${column})`;

/** SQL: the first line of a definition. A replay changes what follows it. */
export const owned = (oid: string): string => `format('owner %I', pg_get_userbyid(${oid}))`;

/** SQL: an array as sorted text, so that the order of setting it means nothing. Asked first, as most arrays are NULL. */
export const sorted = (array: string): string =>
  `CASE WHEN ${array} IS NOT NULL THEN (SELECT string_agg(o, ', ' ORDER BY o) FROM unnest(${array}) AS x (o)) END`;

/** SQL: lines joined, without those that are NULL. */
export const lines = (...parts: string[]): string => `concat_ws(E'\\n', ${parts.join(', ')})`;

/** SQL: `text` where the condition holds, else NULL. */
export const when = (condition: string, text: string): string => `CASE WHEN ${condition} THEN ${text} END`;

/** SQL: an object that PostgreSQL did not bring. Its own have OIDs below FirstNormalObjectId (access/transam.h). */
export const made = (oid: string): string => `${oid} >= 16384`;

/** SQL: an option `name=value`, whose value is shown as a hash where the condition holds. */
const hashedWhen = (condition: string, option: string): string =>
  `CASE WHEN ${condition} THEN split_part(${option}, '=', 1) || ' = sha256:' ||
     left(encode(sha256(convert_to(${option}, 'UTF8')), 'hex'), 16) ELSE ${option} END`;

/** SQL: a setting. Those whose name has a dot are the application's own, and may hold a secret. */
export const discreet = (option: string): string => hashedWhen(`split_part(${option}, '=', 1) LIKE '%.%'`, option);

/** SQL: options of something foreign as sorted text, without secrets. */
export const sortedForeign = (array: string): string =>
  `(SELECT string_agg(${hashedWhen(isSecretOption('o'), 'o')}, ', ' ORDER BY o) FROM unnest(${array}) AS x (o))`;
