import { spawn, type ChildProcess } from 'node:child_process';
import type { Readable } from 'node:stream';
import type pg from 'pg';
import { bareEnvironment } from '../../../infra/lib/child-environment.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { endsWithParent } from '../../../infra/lib/lifetimes.ts';
import { sqlIdentifier, sqlLiteral } from '../../../infra/application/roles.ts';
import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import { notOfExtension, ownSchemas } from '../catalog.ts';
import { row, rows, withClient } from '../connect.ts';
import { copyPrograms, programEnvironment } from '../dump.ts';

/**
 * Copies the rows of all tables as of one snapshot, several tables at a time, by COPY from one server to the other. The data passes
 * between two processes of psql, and not through this program.
 */

/** Tables that are copied at a time. */
const jobs = 4;
const progressMs = 500;

export interface CopyRows {
  /** Name of an exported snapshot of the source. It has to stay exported until this ends. */
  snapshot: string;
  signal?: AbortSignal | undefined;
  /** Bytes of tables that are there, of those that the source has. */
  onProgress?: ((progress: { bytes: number; totalBytes: number }) => void) | undefined;
}

/** Rows that are copied by one COPY: those of a table, or of a partition. */
interface Part {
  /** Quoted, for SQL. */
  from: string;
  /** The table that takes the rows: of a partition its root, as both sides may be partitioned differently. */
  into: string;
  columns: string[];
  bytes: string;
}

const partsSql = `
  SELECT format('%I.%I', ln.nspname, l.relname) AS from, format('%I.%I', n.nspname, c.relname) AS into, pg_table_size(l.oid)::text AS bytes,
    (SELECT coalesce(json_agg(a.attname ORDER BY a.attnum), '[]') FROM pg_attribute a
     WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS columns
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (SELECT c.oid AS relid WHERE c.relkind = 'r'
      UNION ALL SELECT t.relid FROM pg_partition_tree(c.oid) t WHERE c.relkind = 'p' AND t.isleaf) m
    JOIN pg_class l ON l.oid = m.relid AND l.relkind = 'r' JOIN pg_namespace ln ON ln.oid = l.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't' AND ${ownSchemas} AND ${notOfExtension}
  ORDER BY pg_table_size(l.oid) DESC, 1`;

/**
 * Copies all rows of the application's tables from `from` to `to`, whose tables must be empty. Rejects with an OperationError, or when
 * `signal` aborts; the target then has some of the rows.
 */
export async function copyRows(from: DatabaseAccess, to: DatabaseAccess, options: CopyRows): Promise<void> {
  const parts = await withClient(from, 'admin', (client) => rows<Part>(client, partsSql));
  const program = await copyPrograms(from, to);
  const psql = program('psql');
  const failed = new AbortController();
  const signal = AbortSignal.any([failed.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  const queue = [...parts];
  const progress = track(parts, to, options.onProgress);
  const worker = async (): Promise<void> => {
    for (let part = queue.shift(); part !== undefined; part = queue.shift()) {
      progress.begin(part);
      await copyPart(psql, from, to, part, options.snapshot, signal);
      progress.end(part);
    }
  };
  try {
    await withClient(to, 'admin', (client) => requireEmpty(client, parts));
    const workers = Array.from({ length: jobs }, () =>
      worker().catch((error: unknown) => {
        failed.abort(error);
        throw error;
      }),
    );
    // All have to end before anybody goes on.
    const ended = await Promise.allSettled(workers);
    options.signal?.throwIfAborted();
    if (failed.signal.aborted) throw failed.signal.reason;
    if (ended.some(({ status }) => status === 'rejected')) throw new Error('a copy has failed without a reason');
  } finally {
    await progress.stop();
  }
}

async function requireEmpty(client: pg.Client, parts: Part[]): Promise<void> {
  for (const table of new Set(parts.map(({ into }) => into))) {
    const [there] = await rows<{ oid: string | null }>(client, 'SELECT to_regclass($1)::text AS oid', [table]);
    if (there?.oid == null) throw cannot(table, 'it does not exist on the other side');
    const { filled } = await row<{ filled: boolean }>(client, `SELECT EXISTS (SELECT FROM ${table}) AS filled`);
    if (filled) throw cannot(table, 'it has rows already, where nobody but the replication may write');
  }
}

const cannot = (table: string, found: string): OperationError =>
  new OperationError(
    `copying the rows of table ${table.replaceAll('"', '')}`,
    found,
    'put that right, then repeat: the copy begins anew',
  );

async function copyPart(
  psql: string,
  from: DatabaseAccess,
  to: DatabaseAccess,
  { from: table, into, columns }: Part,
  snapshot: string,
  signal: AbortSignal,
): Promise<void> {
  if (columns.length === 0) return;
  signal.throwIfAborted();
  const listed = columns.map(sqlIdentifier).join(', ');
  const read = start(psql, from, signal, [
    `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`,
    `SET TRANSACTION SNAPSHOT ${sqlLiteral(snapshot)}`,
    `COPY ${table} (${listed}) TO STDOUT`,
  ]);
  // As a replication worker does: foreign keys hold already, and triggers had their effect when the rows were first written.
  const write = start(
    psql,
    to,
    signal,
    ['SET session_replication_role = replica', `COPY ${into} (${listed}) FROM STDIN`],
    read.output,
  );
  const [reading, writing] = await Promise.all([read.ended, write.ended]);
  signal.throwIfAborted();
  const problem = writing ?? reading;
  if (problem !== undefined) throw cannot(into, problem);
}

/** Since 17 the owner can bound transactions, too. It prints nothing, which would be taken for a row. */
const noTransactionTimeout = `DO $$ BEGIN IF current_setting('transaction_timeout', true) IS NOT NULL THEN PERFORM set_config('transaction_timeout', '0', false); END IF; END $$`;

/** Starts psql with one statement after the other. `ended` resolves to what went wrong. */
function start(
  psql: string,
  access: DatabaseAccess,
  signal: AbortSignal,
  statements: string[],
  input?: Readable,
): { ended: Promise<string | undefined>; output: Readable } {
  // Of an error only its code is shown: the message of a COPY can quote the row.
  const options = ['--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--set=VERBOSITY=sqlstate'];
  const argv = [
    psql,
    ...options,
    ...[noTransactionTimeout, ...statements].flatMap((statement) => ['--command', statement]),
  ];
  const [command = '', ...args] = endsWithParent(argv, 'INT');
  const child: ChildProcess = spawn(command, args, {
    ...bareEnvironment(programEnvironment(access)),
    stdio: [input ?? 'ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGINT',
  });
  // The other process has its own end of the pipe. With this one open it would never see that the reader has ended.
  input?.destroy();
  let said = '';
  child.stderr?.on('data', (text: Buffer) => (said += text.toString()));
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, by) => {
      const why = said.trim().split('\n').slice(0, 3).join('\n');
      resolve(code === 0 ? undefined : explain(why === '' ? `psql ended with ${by ?? `exit code ${code}`}` : why));
    });
  });
  if (child.stdout === null) throw new Error('psql has no output');
  if (input !== undefined) child.stdout.resume();
  return { ended, output: child.stdout };
}

/** See https://www.postgresql.org/docs/15/errcodes-appendix.html */
const meanings: Record<string, string> = {
  23502: 'a row has a null that the other side does not accept',
  23505: 'a row violates a unique index of the other side',
  23514: 'a row violates a CHECK constraint, or no partition of the other side takes it',
  42501: 'the role of the copy may not read or write it',
  53100: 'the disk is full',
  '42P01': 'it does not exist any more',
  42703: 'a column of it does not exist on the other side',
};

const explain = (said: string): string => {
  const code = /ERROR:\s+([0-9A-Z]{5})\b/.exec(said)?.[1];
  if (code === undefined) return said;
  return `${meanings[code] ?? "PostgreSQL refused it; the server's log has the reason"} (SQLSTATE ${code})`;
};

/** Asks the target how much is there. What is not committed counts, as the size of a file is seen by everybody. */
function track(
  parts: Part[],
  to: DatabaseAccess,
  say: CopyRows['onProgress'],
): { begin(part: Part): void; end(part: Part): void; stop(): Promise<void> } {
  const running = new Set<Part>();
  let done = 0;
  const totalBytes = parts.reduce((sum, { bytes }) => sum + Number(bytes), 0);
  const look = async (client: pg.Client): Promise<void> => {
    const tables = [...new Set([...running].map(({ into }) => into))];
    const { bytes } = await row<{ bytes: string }>(
      client,
      `SELECT coalesce(sum(pg_table_size(p.relid)), 0)::text AS bytes
       FROM unnest($1::text[]) t, LATERAL (SELECT coalesce(relid, t::regclass) AS relid FROM (SELECT 1) one LEFT JOIN pg_partition_tree(t::regclass) ON true) p`,
      [tables],
    );
    const most = [...running].reduce((sum, part) => sum + Number(part.bytes), 0);
    say?.({ bytes: done + Math.min(Number(bytes), most), totalBytes });
  };
  let timer: NodeJS.Timeout | undefined;
  let looking = Promise.resolve();
  if (say !== undefined)
    timer = setInterval(() => {
      looking = looking.then(() => withClient(to, 'admin', look)).catch(() => undefined);
    }, progressMs);
  return {
    begin: (part) => void running.add(part),
    end(part) {
      running.delete(part);
      done += Number(part.bytes);
    },
    async stop() {
      clearInterval(timer);
      await looking;
      if (running.size === 0) say?.({ bytes: done, totalBytes });
    },
  };
}
