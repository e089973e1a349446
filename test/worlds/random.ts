/** Numbers that are the same in every run: a schema and a load that failed can be made again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from `least` up to and without `below`. mulberry32. */
  whole(least: number, below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return least + (((mixed ^ (mixed >>> 14)) >>> 0) % (below - least));
  }

  pick<T>(of: readonly T[]): T {
    const found = of[this.whole(0, of.length)];
    if (found === undefined) throw new Error('nothing to pick from');
    return found;
  }
}
