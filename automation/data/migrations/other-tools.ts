import type { FileProblem } from './problems.ts';

/**
 * Files of other migration tools that mean something else there than SQL that is run once from top to bottom.
 * Sources: the documentation of each tool.
 */
interface Sign {
  tool: string;
  /** What the name, or a line of the text, shows. */
  shows: RegExp;
  found: string;
  todo: string;
}

const down = {
  found: 'would be run too, and undo the part before it',
  todo: 'let the build copy the part before it alone',
};
const downFile = { found: 'undoes another file and would be run too', todo: 'let the build leave it out' };

const names: readonly Sign[] = [
  { tool: 'golang-migrate or sqlx', shows: /\.down\.sql$/i, ...downFile },
  { tool: 'Diesel', shows: /^down\.sql$/i, ...downFile },
  { tool: 'db-migrate', shows: /^\d.*-down\.sql$/i, ...downFile },
  { tool: 'Postgrator', shows: /^\d+\.undo\./i, ...downFile },
  { tool: 'yoyo', shows: /\.rollback\.sql$/i, ...downFile },
  { tool: 'Flyway (undo)', shows: /^U[\d._]+__/, ...downFile },
  {
    tool: 'Flyway (repeatable)',
    shows: /^R__/,
    found: 'is meant to run again whenever it changes, and here each file runs once',
    todo: 'write each change as a new file with a version',
  },
  {
    tool: 'Flyway (callback)',
    shows: /^(before|after)[A-Z]\w*(__.*)?\.sql$/,
    found: 'is meant to run around every migration, and here each file runs once',
    todo: 'let the build leave it out, and put what it does into the files that need it',
  },
];

const lines: readonly Sign[] = [
  { tool: 'goose', shows: /^--\s*\+goose\s+down\b/i, ...down },
  { tool: 'dbmate', shows: /^--\s*migrate:down\b/i, ...down },
  { tool: 'sql-migrate', shows: /^--\s*\+migrate\s+down\b/i, ...down },
  { tool: 'node-pg-migrate', shows: /^\s*--[\s-]*down\s+migration\b/i, ...down },
  { tool: 'MyBatis', shows: /^--\s*\/\/\s*@undo\b/i, ...down },
  { tool: 'rambler', shows: /^--\s*rambler\s+down\b/i, ...down },
  { tool: 'shmig', shows: /^--\s*=+\s*down\s*=+/i, ...down },
  { tool: 'Play evolutions', shows: /^(#|--)[\s-]*!downs\b/i, ...down },
  { tool: 'tern', shows: /^----\s*create above\s*\/\s*drop below\s*----/i, ...down },
  {
    tool: 'Liquibase',
    shows:
      /^--\s*(changeset\b.*\b(context|contextFilter|labels|dbms|runAlways|runOnChange|endDelimiter)\s*:|preconditions\b)/i,
    found: 'makes the statements below depend on a condition, and here all of them would be run, once',
    todo: 'write the file as plain SQL',
  },
];

/** A file that the name shows to belong to another tool, and that must not run. */
export function foreignName(file: string): FileProblem | undefined {
  const sign = names.find(({ shows }) => shows.test(file));
  return sign && { file, found: `it is a file of ${sign.tool} that ${sign.found}`, todo: sign.todo };
}

/** The first line that means something to another tool and would be lost here. */
export function foreignText(file: string, sql: string): FileProblem | undefined {
  for (const [index, text] of sql.split('\n').entries()) {
    const sign = lines.find(({ shows }) => shows.test(text));
    if (sign === undefined) continue;
    const found = `"${text.trim()}" is a mark of ${sign.tool}: what follows ${sign.found}`;
    return {
      file,
      line: index + 1,
      found: sign.tool === 'Liquibase' ? `"${text.trim()}" is a mark of Liquibase that ${sign.found}` : found,
      todo: sign.todo,
    };
  }
  return undefined;
}
