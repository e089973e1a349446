import type { FileToJudge, Judgement } from '../migrations/judge.ts';
import type { Effect } from './effect.ts';

/**
 * What the judgement of the files has not said: a function, a DO block, a trigger or a cascade did it. A finding of the same rule about
 * the same object has announced it; what no rule judges, a statement that names it. Pure.
 */
export function unannounced(
  effects: readonly Effect[],
  judgements: readonly Judgement[],
  files: readonly FileToJudge[],
): Effect[] {
  const named = new Set(
    files.flatMap(({ as, statements }) => (as === 'applied' ? [] : statements.flatMap(({ node }) => textsIn(node)))),
  );
  const isSaid = ({ rule, object, why }: Effect): boolean =>
    judgements.some((said) => said.rule === rule && (said.why === why || speaksOf(said.why, shortOf(object))));
  return effects.filter(
    (effect) => !isSaid(effect) && !(effect.unjudged === true && named.has(shortOf(effect.object))),
  );
}

/** Whether a sentence has this name as a word. */
const speaksOf = (sentence: string, name: string): boolean =>
  sentence
    .split(/[\s,;:()]+/)
    .some((word) => word === name || word.endsWith(`.${name}`) || word.startsWith(`${name}.`)) ||
  (/\W/.test(name) && sentence.includes(name));

/** The name alone: `price` of `ON ROUTINE shop.price(integer) TO app`, `touch` of `touch on shop.orders`. */
function shortOf(object: string): string {
  const [, granted = object] = /^ON (?:[A-Z]+ )+(.*) TO \S+$/.exec(object) ?? [];
  const whole = (granted.split(' on ')[0] ?? '').replace(/\(.*\)$/, '');
  const [last = ''] = /"(?:[^"]|"")*"$|[^."]*$/.exec(whole) ?? [];
  return last.startsWith('"') ? last.slice(1, -1).replaceAll('""', '"') : last;
}

/** Every text of a parse tree. The body of a DO block or a function is one text of its own, and names nothing. */
function textsIn(tree: unknown): string[] {
  if (typeof tree === 'string') return [tree];
  return typeof tree === 'object' && tree !== null ? Object.values(tree).flatMap(textsIn) : [];
}
