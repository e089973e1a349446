/** One statement of an SQL file, with the comments before it. */
export interface Statement {
  text: string;
  /** Line (from 1) of `text`'s first character. */
  from: number;
  /** Line of the statement's first word. */
  line: number;
}

/**
 * What a semicolon does not end: strings (with backslashes where they begin with E), names, dollar-quoted bodies,
 * comments. Anything else is one character at a time.
 */
const token =
  /[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_]\w*)?\$[\s\S]*?\$\1\$|--[^\n]*|\/\*|[\s\S]/y;
/** Bodies of this kind hold semicolons without quotes; a file with one is run as a whole. */
const unquotedBody = /\bbegin\s+atomic\b/i;

/** Splits an SQL file into its statements, so that an error can be traced to a line. Comments stay with what follows. */
export function splitStatements(sql: string): Statement[] {
  if (unquotedBody.test(sql)) return [{ text: sql, from: 1, line: 1 }];
  const statements: Statement[] = [];
  let start = 0;
  let first: number | undefined;
  const end = (at: number): void => {
    if (first !== undefined)
      statements.push({ text: sql.slice(start, at), from: lineAt(sql, start), line: lineAt(sql, first) });
    start = at;
    first = undefined;
  };
  for (let at = 0; at < sql.length;) {
    token.lastIndex = at;
    const found = token.exec(sql)?.[0] ?? sql.charAt(at);
    const next = found === '/*' ? endOfComment(sql, at) : at + found.length;
    const isComment = found === '/*' || found.startsWith('--');
    if (!isComment && found.trim() !== '' && found !== ';') first ??= at;
    if (found === ';') end(next);
    at = next;
  }
  end(sql.length);
  return statements;
}

/** Whether a statement begins or ends a transaction. */
export const controlsTransaction = (statement: string): boolean =>
  /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:begin|commit|rollback|abort|end|start\s+transaction|prepare\s+transaction)\b/i.test(
    statement,
  );

/** Line (from 1) of an offset (from 0). */
export const lineAt = (text: string, offset: number): number => text.slice(0, offset).split('\n').length;

/** Comments of this kind nest. */
function endOfComment(sql: string, from: number): number {
  const marker = /\/\*|\*\//g;
  marker.lastIndex = from;
  for (let depth = 0; ;) {
    const found = marker.exec(sql);
    if (found === null) return sql.length;
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return marker.lastIndex;
  }
}
