/** Values for the server's settings. The files are outside the data directory, so that backups contain only data. */
export interface ServerSettings {
  port: number;
  name: string;
  maxConnections: number;
  /** Absolute paths. */
  data: string;
  hba: string;
  certificate: string;
  key: string;
}

/** Replication connections: two directions with initial copies, and a base backup. Generous. */
const replicationSlots = 20;

/** Connections reserved for the superuser. A cutover needs five on each side. */
const reserved = 10;

const quote = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** `postgresql.conf`: small memory settings for many clusters on one machine, but full durability. */
export const serverSettings = (s: ServerSettings): string =>
  `# Written by Greenlight; manual changes are overwritten.
data_directory = ${quote(s.data)}
hba_file = ${quote(s.hba)}
cluster_name = ${quote(s.name)}

listen_addresses = '127.0.0.1'
port = ${s.port}
unix_socket_directories = ''
max_connections = ${s.maxConnections + reserved}
# Failback must be possible even if the application uses all its connections.
superuser_reserved_connections = ${reserved}
password_encryption = scram-sha-256
ssl = on
ssl_cert_file = ${quote(s.certificate)}
ssl_key_file = ${quote(s.key)}
ssl_min_protocol_version = 'TLSv1.2'

wal_level = logical
max_replication_slots = ${replicationSlots}
max_wal_senders = ${replicationSlots}
max_logical_replication_workers = 8
max_worker_processes = 12
# A missing subscriber must not fill the disk. Its slot is invalidated instead, which a gate detects.
max_slot_wal_keep_size = 4GB
# Also the delay before an apply worker is restarted. With the default of 5 s it would look dead for that long.
wal_retrieve_retry_interval = 500ms
# A cutover locks every table and every partition. With the default of 64, about 10,000 would be too many. Each lock takes 270 bytes.
max_locks_per_transaction = 256

shared_buffers = 64MB
work_mem = 4MB
maintenance_work_mem = 64MB
max_wal_size = 512MB
min_wal_size = 80MB
wal_compression = on

# Log to stderr. Never log the text of a statement, because it may contain personal data.
logging_collector = off
log_line_prefix = '%m [%p] %q%u@%d '
log_timezone = 'UTC'
timezone = 'UTC'
log_statement = none
log_min_error_statement = panic
log_checkpoints = off
lc_messages = 'C'
`;

/**
 * `postgresql.auto.conf` of a copy that follows its source up to `lsn` and is promoted there. The record that begins at `lsn` is
 * not applied: it may be the commit with which the logical slot begins. `primary`: connection string of the source.
 */
export const recoverySettings = (primary: string, lsn: string): string =>
  `primary_conninfo = ${quote(primary)}
recovery_target_lsn = ${quote(lsn)}
recovery_target_inclusive = off
recovery_target_action = 'promote'
# Nobody reads from it, so its limits need not be those of the source.
hot_standby = off
# Its subscriptions are those of the source.
max_logical_replication_workers = 0
wal_receiver_status_interval = 1s
`;

/** `pg_hba.conf`: TLS and a password for everybody. The first matching line applies; no match means refused. */
export const hostBasedAuthentication = `# Written by Greenlight; manual changes are overwritten.
hostssl  all          all    127.0.0.1/32  scram-sha-256
hostssl  replication  admin  127.0.0.1/32  scram-sha-256
`;
