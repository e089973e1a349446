import { distance } from 'fastest-levenshtein';

/**
 * The known word that is nearest, if it is near: up to a third of its characters differ, in upper or lower case. Two neighbours
 * that were swapped count as two characters.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.ceil(word.length / 3) ? best.candidate : undefined;
}

/** ` (did you mean "platform"?)`, or nothing where no known word is near. */
export function didYouMean(found: unknown, known: readonly string[]): string {
  const near = typeof found === 'string' ? nearest(found, known) : undefined;
  return near === undefined ? '' : ` (did you mean "${near}"?)`;
}
