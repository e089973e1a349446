/** Translates parameters of a DB parameter group for a plain PostgreSQL. Pure functions. */

/** Parameters that RDS sets itself, or that need its libraries. */
const kept = new Set(
  (
    'port listen_addresses unix_socket_directories data_directory hba_file ident_file config_file external_pid_file ' +
    'cluster_name ssl ssl_cert_file ssl_key_file ssl_ca_file shared_preload_libraries log_destination ' +
    'logging_collector log_directory log_filename fsync'
  ).split(' '),
);

/**
 * Lines for `postgresql.conf`. Leaves out parameters that PostgreSQL does not know, and RDS's formulas
 * (`{DBInstanceClassMemory/…}`).
 */
export function parameterLines(parameters: Record<string, string>, known: ReadonlySet<string>): string {
  const logical = parameters['rds.logical_replication'] === '1';
  const plain = Object.entries(parameters).filter(
    ([name, value]) => known.has(name) && !kept.has(name) && name !== 'wal_level' && !value.includes('{'),
  );
  return [['wal_level', logical ? 'logical' : 'replica'], ...plain]
    .map(([name, value]) => `${name} = '${String(value).replaceAll("'", "''")}'\n`)
    .join('');
}

/** `pg_hba.conf`. From version 15 on, RDS refuses connections without TLS unless `rds.force_ssl` is 0. */
export function hostRules(parameters: Record<string, string>): string {
  const kind = parameters['rds.force_ssl'] === '0' ? 'host' : 'hostssl';
  return `${kind} all all 127.0.0.1/32 scram-sha-256\nhostssl replication rdsadmin 127.0.0.1/32 scram-sha-256\n`;
}

/**
 * A password with characters that must be escaped in URLs and SQL, as RDS generates: printable, without `/`, `@`, `"`,
 * `'` and spaces.
 */
export function generatePassword(random: (below: number) => number): string {
  const signs = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,-.:;<=>?[]^_{|}~';
  const start = ['%', '#', '?', '&', ':'][random(5)];
  return `${start}${Array.from({ length: 27 }, () => signs[random(signs.length)]).join('')}`;
}
