/** A word of the configuration, quoted so that HAProxy takes it literally. */
export const quote = (word: string): string => `'${word.replaceAll("'", String.raw`'\''`)}'`;
