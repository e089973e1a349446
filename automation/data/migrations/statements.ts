import { hasSqlDetails, parse, type Node } from 'libpg-query';

/** One statement of an SQL file. */
export interface Statement {
  text: string;
  /** Line (from 1) of its first word. */
  line: number;
  /** Its parse tree; absent where the parser refuses the file. */
  node?: Node;
  /** Why the parser refuses the file, and the line (from 1) of the place that it names. */
  refused?: { why: string; line: number };
}

const newline = 10;

/**
 * Splits an SQL file into its statements, so that an error can be traced to a line. Semicolons also occur in strings,
 * comments and function bodies, so PostgreSQL's own parser (version 18) does it. A file that it refuses is returned as one
 * statement: the server, which may have another version, then reports the error.
 */
export async function splitStatements(sql: string): Promise<Statement[]> {
  if (sql.trim() === '') return [];
  const parsed = await parse(sql).catch((error: unknown) => {
    if (hasSqlDetails(error)) return error;
    throw error;
  });
  if (parsed instanceof Error) {
    // The parser counts characters, from 0.
    const before = [...sql].slice(0, parsed.sqlDetails?.cursorPosition ?? 0);
    return [
      {
        text: sql,
        line: 1,
        refused: { why: parsed.message, line: 1 + before.filter((character) => character === '\n').length },
      },
    ];
  }
  // The parser counts bytes.
  const bytes = Buffer.from(sql);
  let [at, line] = [0, 1];
  return (parsed.stmts ?? []).map(({ stmt, stmt_location: start = 0, stmt_len: length }) => {
    for (; at < start; at++) if (bytes[at] === newline) line++;
    const text = bytes.subarray(start, length === undefined ? bytes.length : start + length).toString();
    return { text, line, ...(stmt === undefined ? {} : { node: stmt }) };
  });
}
