import { splitStatements } from '../migrations/statements.ts';
import { longLock, mayBreakOldVersion } from '../migrations/findings.ts';
import { judgeMigrations, type FileToJudge, type Judgement } from '../migrations/judge.ts';
import type { Phase } from '../migrations/phases.ts';
import { compareObjects, type ObjectDifference } from '../objects/compare.ts';
import { isAnew, type TableContent } from './content.ts';
import { CatalogView } from './catalog-view.ts';
import type { Effect } from './effect.ts';
import { judgeContents } from './judge-contents.ts';
import type { LockHeld } from './locks.ts';
import type { Look } from './look.ts';
import { writeStatements } from './statements.ts';

export interface Observed {
  before: Look;
  after: Look;
  locks: readonly LockHeld[];
}

/**
 * Longest time for which a table may be locked without being named, ms: that of one attempt of a file to get its lock
 * (`migrations.ts`), for which writers wait as well.
 */
export const unnoticedMs = 500;

/**
 * Judges a migration by the difference of the catalogs and the rows before and after, by the rules for SQL files. What takes long is
 * judged by what was measured.
 */
export async function judgeEffects({ before, after, locks }: Observed, as: Phase): Promise<Effect[]> {
  const written = writeStatements(before, after);
  const files = [
    await fileOf('before', written.known, 'applied'),
    ...(await Promise.all([...written.changes].map(([object, statements]) => fileOf(object, statements, as)))),
  ];
  const judged = judgeMigrations(files).flatMap(effectOf);
  const slow = [
    ...locks.filter(({ table, ms }) => ms >= unnoticedMs && before.tables.has(table)).map(ofLock),
    ...rewritten({ before, after }),
  ];
  if (as !== 'expand') return [...judged, ...slow];
  return [
    ...judged,
    ...written.others.map(ofOther),
    ...judgeContents(before, after, firingAlways(before, after)),
    ...slow,
  ];
}

const fileOf = async (name: string, statements: string[], as: FileToJudge['as']): Promise<FileToJudge> => ({
  name,
  statements: await splitStatements(statements.join(';\n')),
  as,
});

/** How long something takes is not guessed from a statement here. */
const effectOf = ({ file, rule, stops, why, instead }: Judgement): Effect[] =>
  rule === 'safe' || rule === 'long-lock' ? [] : [{ object: file, rule, stops, why, instead }];

const ofOther = ({ kind, name, left, right }: ObjectDifference): Effect => ({
  object: name,
  unjudged: true,
  ...mayBreakOldVersion(
    left === undefined
      ? `the ${kind} ${name} is new, and the old version's writes may feel it`
      : `the ${kind} ${name} is ${right === undefined ? 'gone' : 'another one'}${change(kind, left, right)}, and the old version may use it`,
    'see that the old version works with it (gate compatibility), or do it in the contract step',
  ),
});

/** Of a table and a column only what is another one is given. */
const change = (kind: string, left: string, right: string | undefined): string =>
  kind === 'table' || kind === 'column' ? ` (before: ${left || 'nothing'}; now: ${right || 'nothing'})` : '';

const ofLock = ({ table, mode, ms }: LockHeld): Effect => ({
  object: table,
  ...longLock(`${mode} on ${table} was held for ${(ms / 1000).toFixed(1)} s on the copy`, 'do it in smaller steps'),
});

const rewritten = ({ before, after }: Omit<Observed, 'locks'>): Effect[] =>
  [...before.tables].flatMap(([table, { id, sql }]) => {
    const [then, now] = [before.contents.get(sql), after.contents.get(sql)];
    if (after.tables.get(table)?.id !== id || then === undefined || now === undefined) return [];
    if (!isAnew(then, now) || now.rows === 0) return [];
    const what = `the table ${table} was written anew, with its ${now.rows} ${now.rows === 1 ? 'row' : 'rows'}`;
    return [
      {
        object: table,
        ...longLock(what, 'add a column beside it, fill it, and drop the old one in the contract step'),
      },
    ];
  });

/** Tables with a new trigger that fires for replicated rows, too, or with one that does so now. */
function firingAlways(before: Look, after: Look): ReadonlySet<string> {
  const [old, now] = [new CatalogView(before), new CatalogView(after)];
  const isNew = (table: string): boolean =>
    now
      .parts(table, 'trigger')
      .some(
        ({ name, definition }) =>
          /^enabled: A$/m.test(definition) &&
          !old.parts(table, 'trigger').some((trigger) => trigger.name === name && trigger.definition === definition),
      );
  return new Set([...after.tables.keys()].filter(isNew));
}

/** Everything that is not as it was, by name: of a command that should have had nothing left to do. */
export function changesBetween(before: Look, after: Look): string[] {
  const objects = compareObjects(before.objects, after.objects).map(({ kind, name }) => `${kind} ${name}`);
  const tables = [...before.tables].flatMap(([table, { sql }]) => {
    const [then, now] = [before.contents.get(sql), after.contents.get(sql)];
    const isSame = then === undefined || now === undefined || (then.rows === now.rows && sumsOf(then) === sumsOf(now));
    return isSame ? [] : [`rows of ${table}`];
  });
  return [...objects, ...tables];
}

const sumsOf = ({ columns }: TableContent): string => columns.map(({ name, sum }) => `${name} ${sum}`).join();
