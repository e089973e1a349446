import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperationError, messageOf } from '../../../infra/lib/errors.ts';
import { foreignName, foreignText } from './other-tools.ts';
import type { FileProblem } from './problems.ts';

/** Reads the files of a migrations directory, and finds what would be skipped, misread or run by mistake. */
export interface MigrationFile {
  name: string;
  /** Without byte order mark, lines ended by LF: a checkout with CRLF gives the same text. */
  sql: string;
  checksum: string;
  /** Checksums that a database may have recorded for this text: of another checkout, or of the raw bytes. */
  checksums: string[];
  /** Why the file cannot be run. */
  problem?: FileProblem;
}

const byteOrderMark = '\uFEFF';
/** Names of files that hold SQL, and that `.sql` does not find. */
const alsoSql = /\.(sql|pgsql|psql|ddl)(\.(gz|zip|tmpl|j2|erb))?$/i;
/** Migrations of tools that write them in a language: `0001_initial.py`, `V2__fill.java`. */
const otherLanguage = /^[VUR]?\d[\w.-]*\.(c?js|mjs|ts|py|rb|php|java|go|exs|xml|ya?ml)$/i;

/**
 * The files of a directory in the order of their names, and what else in it looks like a migration and is not run.
 * Rejects with an OperationError if the directory cannot be read.
 */
export async function readMigrations(directory: string): Promise<{ files: MigrationFile[]; problems: FileProblem[] }> {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    const todo = 'see that migrations.directory is in the build';
    throw new OperationError('reading the migrations', messageOf(error), todo, { cause: error });
  });
  const problems: FileProblem[] = [];
  const names: string[] = [];
  for (const entry of entries) {
    if (entry.isDirectory()) problems.push(...(await folderProblem(directory, entry.name)));
    else if (entry.name.endsWith('.sql')) names.push(entry.name);
    else problems.push(...nameProblem(entry.name));
  }
  if (names.length === 0 && problems.length === 0)
    problems.push({
      file: directory,
      found: 'the directory has no .sql file, so no migration would run',
      todo: 'put the SQL files into it, or correct migrations.directory',
    });
  const files = await Promise.all(
    names.sort().map(async (name) => toFile(name, await readFile(join(directory, name)))),
  );
  return { files, problems };
}

async function folderProblem(directory: string, folder: string): Promise<FileProblem[]> {
  const inside = await readdir(join(directory, folder), { recursive: true });
  const sql = inside.filter((name) => alsoSql.test(name)).sort();
  if (sql.length === 0) return [];
  return [
    {
      file: `${folder}/${sql[0]}`,
      found: 'it lies in a folder (as Prisma and Diesel write them), and folders are not read',
      todo: `let the build copy it to ${folder}.sql, beside the other files`,
    },
  ];
}

function nameProblem(name: string): FileProblem[] {
  if (alsoSql.test(name))
    return [
      {
        file: name,
        found: 'its name does not end in .sql, so it would not be run',
        todo: 'rename it, or let the build leave it out',
      },
    ];
  if (otherLanguage.test(name))
    return [
      {
        file: name,
        found: 'it is a migration that is not SQL, so it would not be run',
        todo: 'write it as SQL, or name the command that runs it: migrations: { expand, contract }',
      },
    ];
  return [];
}

function toFile(name: string, bytes: Buffer): MigrationFile {
  const raw = bytes.toString('utf8');
  const sql = raw.replace(byteOrderMark, (mark, at) => (at === 0 ? '' : mark)).replaceAll('\r\n', '\n');
  const crlf = sql.replaceAll('\n', '\r\n');
  const variants = [sql, crlf, byteOrderMark + sql, byteOrderMark + crlf, raw];
  const problem = foreignName(name) ?? encodingProblem(name, bytes) ?? foreignText(name, sql);
  return {
    name,
    sql,
    checksum: sha256(sql),
    checksums: [...new Set(variants.map(sha256))],
    ...(problem === undefined ? {} : { problem }),
  };
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

function encodingProblem(file: string, bytes: Buffer): FileProblem | undefined {
  const lineAt = (offset: number): number => 1 + bytes.subarray(0, offset).filter((byte) => byte === 0x0a).length;
  const zero = bytes.indexOf(0);
  if (zero !== -1)
    return {
      file,
      line: lineAt(zero),
      found: 'it has a zero byte: it is UTF-16, or not text',
      todo: 'save it as UTF-8',
    };
  if (isUtf8(bytes)) return undefined;
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(0x0a, start);
    if (end === -1 || !isUtf8(bytes.subarray(start, end))) break;
    start = end + 1;
  }
  return {
    file,
    line: lineAt(start),
    found: 'it has bytes that are not UTF-8 (Latin-1?)',
    todo: 'save it as UTF-8',
  };
}
