import type pg from 'pg';
import { rows } from '../connect.ts';
import type { Link } from '../link.ts';

/**
 * A publication and a subscription know tables by what they are, and not by name. Where a table is made anew, its old name says nothing:
 * PostgreSQL leaves its changes out, without a word. Resolves to which these are, for people; undefined if there are none.
 */
export async function unfollowed(
  { name, from, to }: Link,
  source: pg.Client,
  target: pg.Client,
): Promise<string | undefined> {
  const [sent, taken] = await Promise.all([namesOf(source, publishedSql, name), namesOf(target, subscribedSql, name)]);
  if (taken === undefined || sent === undefined) return undefined;
  const said = [
    ...sent.filter((table) => !taken.includes(table)).map((table) => `${table} (on ${to.colour})`),
    ...taken.filter((table) => !sent.includes(table)).map((table) => `${table} (on ${from.colour})`),
  ];
  return said.length === 0
    ? undefined
    : `made anew, renamed or dropped since the replication began, which leaves their changes out: ${said.join(', ')}`;
}

const publishedSql = `SELECT (SELECT coalesce(json_agg(format('%s.%s', n.nspname, c.relname)), '[]') FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.prpubid = p.oid) AS names FROM pg_publication p WHERE p.pubname = $1`;
const subscribedSql = `SELECT (SELECT coalesce(json_agg(format('%s.%s', n.nspname, c.relname)), '[]') FROM pg_subscription_rel r JOIN pg_class c ON c.oid = r.srrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.srsubid = s.oid) AS names FROM pg_subscription s WHERE s.subname = $1`;

const namesOf = async (client: pg.Client, sql: string, link: string): Promise<string[] | undefined> =>
  (await rows<{ names: string[] }>(client, sql, [link]))[0]?.names;
