import { distance } from 'fastest-levenshtein';

/**
 * The known word with the smallest Levenshtein distance, ignoring case. Undefined if the distance is more than a third
 * of the length of `word`, rounded up. Two swapped neighbouring characters are a distance of two.
 */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.ceil(word.length / 3) ? best.candidate : undefined;
}

/** ` (did you mean "platform"?)`, or an empty string if no known word is near. */
export function didYouMean(found: unknown, known: readonly string[]): string {
  const near = typeof found === 'string' ? nearest(found, known) : undefined;
  return near === undefined ? '' : ` (did you mean "${near}"?)`;
}
