import { fact, type Fact, type Facts } from './facts.ts';
import type { Folder } from './folder.ts';
import { asName, grep, source } from './text.ts';

/** The environment variables that the source reads, and what they mean. */

const urls =
  /^(DB_URL|DB_URI|DB_DSN|DSN|PG_URL|PG_DSN|PGURL|POSTGRES_URL|POSTGRES_URI|POSTGRES_DSN|POSTGRESQL_URL|DATABASE_URI|DATABASE_DSN|DB_CONNECTION_STRING|DATABASE_CONNECTION_STRING|PG_CONNECTION_STRING|SQLALCHEMY_DATABASE_URI|GOOSE_DBSTRING)$/;
const parts: [RegExp, string][] = [
  [/^(PG|DB_|POSTGRES_|POSTGRESQL_|DATABASE_|PG_)(HOST|HOSTNAME|SERVER|ADDR)$/, 'host'],
  [/^(PG|DB_|POSTGRES_|POSTGRESQL_|DATABASE_|PG_)PORT$/, 'port'],
  [/^(PGDATABASE|(DB|POSTGRES|POSTGRESQL|DATABASE|PG)_(NAME|DB|DATABASE|DBNAME))$/, 'name'],
  [/^(PG|DB_|POSTGRES_|POSTGRESQL_|DATABASE_|PG_)(USER|USERNAME)$/, 'user'],
  [/^(PG|DB_|POSTGRES_|POSTGRESQL_|DATABASE_|PG_)(PASSWORD|PASS|PASSWD)$/, 'password'],
];

/** The template of a variable that says something of the database; undefined if it does not, or is Greenlight's own. */
export function databaseVariable(name: string): string | undefined {
  if (urls.test(name)) return '${database.url}';
  const part = parts.find(([pattern]) => pattern.test(name))?.[1];
  return part === undefined ? undefined : `\${database.${part}}`;
}

/** Libpq and the drivers that follow it read how to trust the server from these. */
const trust = { PGSSLMODE: 'verify-full', PGSSLROOTCERT: '${database.caFile}' };

export const looksSecret = (name: string): boolean =>
  /(^|_)(SECRET|TOKEN|PASSWORD|PASSPHRASE|PRIVATE_KEY|API_?KEY|SECRET_KEY|ENCRYPTION_KEY|APP_KEY|SALT|CREDENTIALS)(_|$)/.test(
    name,
  ) && !/(_FILE|_PATH|_ALGORITHM|_EXPIRY|_EXPIRES(_IN)?|_TTL|_LENGTH|_NAME|_HEADER|_URL)$/.test(name);

/** Greenlight or the tests set these, or the system does. */
const known =
  /^(PORT|HOST|HOSTNAME|DATABASE_URL|NODE_ENV|PUBLIC_URL|GREENLIGHT_\w+|PATH|HOME|USER|TZ|LANG|CI|DEBUG|PWD|SHELL|TMPDIR|NODE_\w+|npm_\w+|VERCEL\w*|DJANGO_SETTINGS_MODULE|PYTHON\w*|GO\w+)$/;

/** Reads of one variable; the text after it tells whether there is a value in its absence. */
const reads: RegExp[] = [
  /process\.env(?:\.([A-Z][A-Z0-9_]+)|\[['"]([A-Z][A-Z0-9_]+)['"]\])(?=([^\n]{0,24}))/g,
  /os\.(?:environ\.get|getenv)\(\s*['"]([A-Z][A-Z0-9_]+)['"]()(?=([^\n]{0,24}))/g,
  /os\.environ\[['"]([A-Z][A-Z0-9_]+)['"]\]()(?=([^\n]{0,24}))/g,
  /(?:^|[^.\w])(?:config|env(?:\.(?:str|int|bool|db|url))?)\(\s*['"]([A-Z][A-Z0-9_]+)['"]()(?=([^\n]{0,24}))/g,
  /os\.(?:Getenv|LookupEnv)\("([A-Z][A-Z0-9_]+)"\)()(?=([^\n]{0,24}))/g,
  /ENV(?:\[|\.fetch\()\s*['"]([A-Z][A-Z0-9_]+)['"]()(?=([^\n]{0,24}))/g,
  /(?:System\.getenv\("|\$\{)([A-Z][A-Z0-9_]+)()(?=([^\n]{0,12}))/g,
  /\benv\("([A-Z][A-Z0-9_]+)"\)()()/g,
];
const withDefault = /^\)?\s*(\|\||\?\?|,\s*[^)\s]|or\s|:-|:)/;

interface Read {
  file: string;
  optional: boolean;
}

/** Every variable that the source reads, with the file of its first reading. */
export function variablesRead(folder: Folder): Map<string, Read> {
  const found = new Map<string, Read>();
  const also =
    /(\.prisma|application\.(ya?ml|properties)|config\/database\.yml|(^|\/)(knexfile|drizzle\.config|ormconfig)\.\w+)$/;
  for (const file of folder.files) {
    if (!source.test(file) && !also.test(file)) continue;
    const text = folder.read(file) ?? '';
    for (const pattern of reads)
      for (const [, first, second, after = ''] of text.matchAll(pattern)) {
        const name = first ?? second ?? '';
        const optional = withDefault.test(after);
        const before = found.get(name);
        // One reading without a default is enough to need it.
        if (before === undefined) found.set(name, { file, optional });
        else if (before.optional && !optional) found.set(name, { file, optional });
      }
  }
  return found;
}

/** Database variables, secrets, and what `.env.example` gives. */
export function environment(folder: Folder): Facts {
  const read = variablesRead(folder);
  const example = exampleOf(folder);
  const env: Record<string, Fact<string>> = {};
  const secrets: Record<string, Fact<string>> = {};
  const notes: string[] = [];
  for (const [name, { file, optional }] of read) {
    const template = databaseVariable(name);
    if (template !== undefined) env[name] = fact(template, file);
    else if (known.test(name) || optional) continue;
    else if (looksSecret(name)) secrets[asName(name)] = fact(name, file);
    else if (example.values.get(name)) env[name] = fact(example.values.get(name) ?? '', example.file);
    else if (example.values.has(name))
      env[name] = fact(`TODO: give ${name}, which ${file} reads and ${example.file} leaves empty`, file);
  }
  const port = [...read].find(([name]) => /^(APP|SERVER|HTTP|WEB|LISTEN)_PORT$/.test(name));
  if (port !== undefined && !read.has('PORT')) env[port[0]] = fact('${port}', port[1].file);
  const address = ['LISTEN_ADDR', 'HTTP_ADDR', 'ADDR']
    .map((name) => ({ name, file: read.get(name)?.file ?? (name === 'ADDR' ? undefined : named(folder, name)) }))
    .find(({ file }) => file !== undefined);
  if (address !== undefined && !read.has('PORT')) env[address.name] = fact('${host}:${port}', address.file ?? '');
  const split = Object.values(env).find(({ value }) => value === '${database.host}');
  if (split !== undefined)
    for (const [name, value] of Object.entries(trust)) env[name] ??= fact(value, 'encrypted connections');
  const url = read.get('DATABASE_URL')?.file ?? named(folder, 'DATABASE_URL');
  return {
    env,
    secrets,
    ...(url === undefined ? {} : { database: fact(true as const, `${url} reads DATABASE_URL`) }),
    notes,
  };
}

/** The file of the source that has this name as a text of its own, such as a key in a table of options. */
const named = (folder: Folder, name: string): string | undefined =>
  grep(folder, source, new RegExp(`["'\`]${name}["'\`]`))?.file;

function exampleOf(folder: Folder): { file: string; values: Map<string, string> } {
  const file = ['.env.example', '.env.sample', '.env.template', 'env.example', '.env.dist'].find(
    (one) => folder.read(one) !== undefined,
  );
  const lines = [...(folder.read(file ?? '') ?? '').matchAll(/^([A-Z][A-Z0-9_]*)=(.*)$/gm)];
  return {
    file: file ?? '',
    values: new Map(lines.map(([, name = '', value = '']) => [name, value.trim().replace(/^(['"])(.*)\1$/, '$2')])),
  };
}
