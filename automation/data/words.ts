import pg from 'pg';
import { messageOf } from '../../infra/lib/errors.ts';

/** SQLSTATEs of a value that its type refuses: PostgreSQL's message ends with it, or begins with `value "..." is`. */
const refusedValue = /^22(P0|00[3789])/;

/**
 * PostgreSQL's words, without its detail, which holds the row, and without values. `sent`: values of the row, where they are known: they are
 * taken out of any message.
 */
export function wordsOf(error: unknown, sent: (string | null | undefined)[] = []): string {
  if (!(error instanceof pg.DatabaseError)) return messageOf(error);
  let text = error.message;
  if (refusedValue.test(error.code ?? ''))
    text = text.replace(/: ".*"$/s, '').replace(/^value ".*" is /s, 'a value is ');
  // The longest first: one value may be part of another.
  const values = (sent as string[])
    .filter((value) => typeof value === 'string' && value !== '')
    .sort((a, b) => b.length - a.length);
  return values.reduce(withoutValue, text);
}

/** Replaces a value that stands by itself. Names of tables, columns and constraints are quoted by PostgreSQL, and stay. */
function withoutValue(text: string, value: string): string {
  const parts = text.split(value);
  return parts.reduce((done, part) => {
    const [before, after] = [done.at(-1) ?? ' ', part.at(0) ?? ' '];
    const inside = /[\p{L}\p{N}_]/u;
    const name = before === '"' && after === '"';
    return `${done}${inside.test(before) || inside.test(after) || name ? value : '...'}${part}`;
  });
}
