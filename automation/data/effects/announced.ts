import type { FileToJudge, Judgement } from '../migrations/judge.ts';
import type { Phase } from '../migrations/phases.ts';
import type { Effect } from './effect.ts';

/**
 * What the judgement of the files has not said: a function, a DO block, a trigger or a cascade did it. A finding of the same rule about
 * the same object has announced it; what no rule judges, a statement that names it. Pure.
 */
export function unannounced(
  effects: readonly Effect[],
  judgements: readonly Judgement[],
  files: readonly FileToJudge[],
  phase: Phase,
): Effect[] {
  const ran = files.filter(({ as }) => as === phase);
  const named = new Set(ran.flatMap(({ statements }) => statements.flatMap(({ node }) => textsIn(node))));
  const found = judgements.filter(({ file }) => ran.some(({ name }) => name === file));
  const isSaid = (effect: Effect): boolean =>
    found.some((said) => said.rule === effect.rule && (said.why === effect.why || isAbout(said, effect)));
  return effects.filter(
    (effect) => !isSaid(effect) && !(effect.unjudged === true && named.has(shortOf(effect.object))),
  );
}

/** What stops is not said by what only may be harmful, nor by what is about another column. */
const isAbout = (said: Judgement, { stops, object, why }: Effect): boolean =>
  speaksOf(said.why, shortOf(object)) &&
  (!stops ||
    (said.stops && wordsOf(why).every((word) => !word.startsWith(`${object}.`) || wordsOf(said.why).includes(word))));

const wordsOf = (sentence: string): string[] => sentence.split(/[\s,;:()]+/);

/** Whether a sentence has this name as a word. */
const speaksOf = (sentence: string, name: string): boolean =>
  wordsOf(sentence).some((word) => word === name || word.endsWith(`.${name}`) || word.startsWith(`${name}.`)) ||
  (/\W/.test(name) && sentence.includes(name));

/** The name alone: `price` of `ON ROUTINE shop.price(integer) TO app`, `touch` of `touch on shop.orders`. */
function shortOf(object: string): string {
  const [, granted = object] = /^ON (?:[A-Z]+ )+(.*) TO \S+$/.exec(object) ?? [];
  const whole = (granted.split(/ (?:on|of) /)[0] ?? '').replace(/\(.*\)$/, '');
  const [last = ''] = /"(?:[^"]|"")*"$|[^."]*$/.exec(whole) ?? [];
  return last.startsWith('"') ? last.slice(1, -1).replaceAll('""', '"') : last;
}

/** Every text of a parse tree. The body of a DO block or a function is one text of its own, and names nothing. */
function textsIn(tree: unknown): string[] {
  if (typeof tree === 'string') return [tree];
  return typeof tree === 'object' && tree !== null ? Object.values(tree).flatMap(textsIn) : [];
}
