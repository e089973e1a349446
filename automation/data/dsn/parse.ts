import { OperationError } from '../../../infra/lib/errors.ts';

/** Connection parameters by the names of libpq: `host`, `dbname`, `sslmode`. */
export type Parameters = Readonly<Record<string, string>>;

/** What is made use of. */
const used = new Set(
  'host hostaddr port dbname user password passfile service sslmode sslrootcert sslcert sslkey channel_binding connect_timeout options'.split(
    ' ',
  ),
);
/** What changes nothing about which rows are read, or how safely. */
const ignored = new Set(
  'application_name fallback_application_name client_encoding keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout target_session_attrs gssencmode krbsrvname sslsni sslcompression ssl_min_protocol_version ssl_max_protocol_version'.split(
    ' ',
  ),
);

/** What others write, and what is not made use of: of libpq, Prisma, PgBouncer, SQLAlchemy, JDBC. These names are no part of a password. */
const nameable = new Set(
  'sslcrl sslcrldir sslpassword sslcertmode sslnegotiation requiressl requirepeer require_auth gssdelegation gsslib load_balance_hosts min_protocol_version max_protocol_version replication servicefile scram_client_key scram_server_key sslkeylogfile schema currentSchema pgbouncer connection_limit pool_timeout socket_timeout statement_cache_size ssl sslaccept uselibpqcompat search_path'.split(
    ' ',
  ),
);

/**
 * Reads a connection string as libpq does: a URI, `keyword=value` pairs, or the name of a database alone. Throws an
 * OperationError that repeats nothing of the text, as it may hold a password.
 * See https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
 */
export function parseDsn(dsn: string): Parameters {
  const isUri = /^postgres(ql)?:\/\//.test(dsn);
  if (!isUri && /^[a-z][\w+.:-]*:\/\//i.test(dsn)) throw refused(otherScheme);
  const all = isUri ? ofUri(dsn) : dsn.includes('=') ? ofPairs(dsn) : ofName(dsn);
  const found = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''));
  const unknown = Object.keys(found).filter((name) => !used.has(name) && !ignored.has(name));
  // A name may be a part of a password that was not quoted.
  if ((found['host'] ?? '').includes(',')) throw refused(several);
  const named = unknown.filter((name) => nameable.has(name));
  if (unknown.length > 0)
    throw refused(
      named.length === 0
        ? 'it has a parameter that is not supported here'
        : `it has parameters that are not supported here: ${named.join(', ')}`,
    );
  return Object.fromEntries(Object.entries(found).filter(([name]) => used.has(name)));
}

const otherScheme = 'it begins with none of postgresql:// and postgres://';

// A URI without its scheme would be shown as a name, with its password.
function ofName(dbname: string): Record<string, string> {
  if (/[:/@]/.test(dbname)) throw refused(otherScheme);
  return { dbname };
}

// No part may hold an @ that is not encoded: what is shown of the others would be a part of the password.
const uri =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:@/?]*)(?::(?<password>[^@/?]*))?@)?(?<host>\[[^\]]*\]|[^:/?@]*)(?::(?<port>\d*))?(?:\/(?<dbname>[^?@]*))?(?:\?(?<rest>.*))?$/s;

function ofUri(text: string): Record<string, string> {
  const groups = uri.exec(text)?.groups;
  if (groups === undefined && severalHosts.test(text)) throw refused(several);
  if (groups === undefined)
    throw refused('it is no valid URI: in user and password, @ : / ? are written %40 %3A %2F %3F');
  const { rest = '', ...parts } = groups as Record<string, string | undefined>;
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(parts)) if (value !== undefined) result[name] = decoded(value);
  result['host'] = (result['host'] ?? '').replace(/^\[(.*)\]$/s, '$1');
  for (const pair of rest.split('&').filter((one) => one !== '')) {
    const at = pair.indexOf('=');
    if (at < 0) throw refused('a parameter of its URI has no value');
    result[decoded(pair.slice(0, at))] = decoded(pair.slice(at + 1));
  }
  // As libpq reads what JDBC writes.
  const { ssl, ...others } = result;
  return ssl === 'true' ? { sslmode: 'require', ...others } : result;
}

const severalHosts = /^postgres(?:ql)?:\/\/(?:[^/?]*@)?[^@/?,]*(?:,[^@/?,]*)+(?:[/?]|$)/;
export const several = 'it names several hosts or ports: name one of them';

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused('a percent sign in it does not begin a code: it is written %25');
  }
}

function ofPairs(text: string): Record<string, string> {
  const pair = /\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(?!')((?:[^\s\\]|\\.)*))(?:\s+|$)/gsy;
  const result: Record<string, string> = {};
  while (pair.lastIndex < text.trimEnd().length) {
    const [, name = '', quoted, plain = ''] = pair.exec(text) ?? [];
    if (name === '') throw refused(`a value with spaces or quotes is written in single quotes`);
    result[name] = (quoted ?? plain).replaceAll(/\\(.)/gs, '$1');
  }
  return result;
}

export const refused = (found: string): OperationError =>
  new OperationError(
    'reading a connection string',
    found,
    'write postgresql://user@host:5432/database or "host=... dbname=...", and the password in PGPASSWORD or ~/.pgpass',
  );
