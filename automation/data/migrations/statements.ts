import { hasSqlDetails, parse } from 'libpg-query';

/** One statement of an SQL file. */
export interface Statement {
  text: string;
  /** Line (from 1) of its first word. */
  line: number;
  /** Whether it begins or ends a transaction, or rolls back a part of one. */
  controlsTransaction: boolean;
}

const newline = 10;
/** These do not end the transaction that they belong to. */
const harmless = new Set(['TRANS_STMT_SAVEPOINT', 'TRANS_STMT_RELEASE']);

/**
 * Splits an SQL file into its statements, so that an error can be traced to a line. Semicolons also occur in strings,
 * comments and function bodies, so PostgreSQL's own parser (version 18) does it. A file that it refuses is returned as one
 * statement: the server, which may have another version, then reports the error.
 */
export async function splitStatements(sql: string): Promise<Statement[]> {
  if (sql.trim() === '') return [];
  const parsed = await parse(sql).catch((error: unknown) => {
    if (hasSqlDetails(error)) return undefined;
    throw error;
  });
  if (parsed === undefined) return [{ text: sql, line: 1, controlsTransaction: false }];
  // The parser counts bytes.
  const bytes = Buffer.from(sql);
  let [at, line] = [0, 1];
  return (parsed.stmts ?? []).map(({ stmt, stmt_location: start = 0, stmt_len: length }) => {
    for (; at < start; at++) if (bytes[at] === newline) line++;
    const text = bytes.subarray(start, length === undefined ? bytes.length : start + length).toString();
    const kind = stmt !== undefined && 'TransactionStmt' in stmt ? stmt.TransactionStmt.kind : undefined;
    return { text, line, controlsTransaction: kind !== undefined && !harmless.has(kind) };
  });
}
