import type pg from 'pg';
import { rows } from './connect.ts';

/** What a database knows of other servers: foreign servers with their options, and user mappings, which hold passwords there. */

/**
 * SQL condition: an option, as `name=value`, holds a secret. Where a wrapper keeps its secrets is its own affair: in the mapping of a user,
 * as the key of an interface in the server's options, or inside a connection string.
 */
export const isSecretOption = (option: string): string =>
  `(split_part(${option}, '=', 1) ~* 'passw|passphrase|pwd|secret|token|credential|_key|apikey|^key' OR ${option} ~* '://[^/@]*:[^@]*@|passw(or)?d *=|pwd *=')`;

const holders = `
  SELECT format('FOREIGN DATA WRAPPER %I', fdwname) AS holder, fdwoptions AS options FROM pg_foreign_data_wrapper
  UNION ALL SELECT format('SERVER %I', srvname), srvoptions FROM pg_foreign_server
  UNION ALL SELECT format('FOREIGN TABLE %s', ftrelid::regclass), ftoptions FROM pg_foreign_table`;

/**
 * Takes from a copy whatever would let it into the other servers of its original: drops all user mappings, and puts a word that says nothing
 * in the place of secret options.
 */
export async function dropForeignSecrets(client: pg.Client): Promise<void> {
  const statements = await rows<{ sql: string }>(
    client,
    `SELECT format('DROP USER MAPPING FOR %s SERVER %I', CASE umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(umuser)) END, srvname) AS sql
     FROM pg_user_mappings
     UNION ALL SELECT format('ALTER %s OPTIONS (SET %I %L)', holder, split_part(o, '=', 1), 'masked') FROM (${holders}) h, unnest(options) o WHERE ${isSecretOption('o')}`,
  );
  for (const { sql } of statements) await client.query(sql);
}
