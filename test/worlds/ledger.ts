import type { Writes } from './world.ts';

/** What a database has of that which requests wrote. */
export interface Found {
  /** With each key as often as it is there. */
  rows: readonly string[];
  counters: Readonly<Record<string, number>>;
}

export interface Balance {
  /** Rows and increments of requests that were answered. */
  acknowledged: number;
  /** The same of requests without an answer, or with an error: they were done or not. */
  unknown: number;
  lost: number;
  doubled: number;
  /** A line for each finding, at most ten. */
  findings: string[];
}

const mostFindings = 10;

const sizeOf = ({ rows = [], gone = [], counters = {} }: Writes): number =>
  rows.length + gone.length + Object.values(counters).reduce((sum, by) => sum + Math.abs(by), 0);

interface Counter {
  known: number;
  /** Of requests without an answer. */
  maybeLess: number;
  maybeMore: number;
}

/** Keeps what was acknowledged, and compares it with what is there. Increments count as rows do. */
export class Ledger {
  readonly #rows = new Set<string>();
  readonly #gone = new Set<string>();
  readonly #maybe = new Set<string>();
  readonly #counters = new Map<string, Counter>();
  readonly #from: Readonly<Record<string, number>>;
  acknowledged = 0;
  unknown = 0;

  /** @param from the counters before the first request */
  constructor(from: Readonly<Record<string, number>>) {
    this.#from = from;
  }

  acknowledge({ rows = [], gone = [], counters = {} }: Writes): void {
    this.acknowledged += sizeOf({ rows, gone, counters });
    for (const key of rows) this.#rows.add(key);
    for (const key of gone) {
      this.#rows.delete(key);
      this.#gone.add(key);
    }
    for (const [name, by] of Object.entries(counters)) this.#counter(name).known += by;
  }

  lose({ rows = [], gone = [], counters = {} }: Writes): void {
    this.unknown += sizeOf({ rows, gone, counters });
    for (const key of [...rows, ...gone]) {
      this.#rows.delete(key);
      this.#maybe.add(key);
    }
    for (const [name, by] of Object.entries(counters)) {
      const counter = this.#counter(name);
      if (by < 0) counter.maybeLess += by;
      else counter.maybeMore += by;
    }
  }

  #counter(name: string): Counter {
    const counter = this.#counters.get(name) ?? { known: 0, maybeLess: 0, maybeMore: 0 };
    this.#counters.set(name, counter);
    return counter;
  }

  balance({ rows, counters }: Found): Balance {
    const there = new Map<string, number>();
    for (const key of rows) there.set(key, (there.get(key) ?? 0) + 1);
    let [lost, doubled] = [0, 0];
    const findings: string[] = [];
    const find = (text: string): void => {
      if (findings.length < mostFindings) findings.push(text);
    };
    for (const key of this.#rows) {
      if (there.has(key)) continue;
      lost += 1;
      find(`${key} is lost`);
    }
    for (const [key, times] of there) {
      const allowed = this.#gone.has(key) ? 0 : this.#rows.has(key) || this.#maybe.has(key) ? 1 : 0;
      if (times <= allowed) continue;
      doubled += times - allowed;
      find(allowed === 1 ? `${key} is there ${times} times` : `${key} is there, and must not be`);
    }
    for (const [name, { known, maybeLess, maybeMore }] of this.#counters) {
      const [from, found] = [this.#from[name] ?? 0, counters[name] ?? 0];
      const [least, most] = [from + known + maybeLess, from + known + maybeMore];
      if (found < least) {
        lost += least - found;
        find(`${name} is ${found}, and at least ${least} were acknowledged`);
      }
      if (found > most) {
        doubled += found - most;
        find(`${name} is ${found}, and at most ${most} were written`);
      }
    }
    return { acknowledged: this.acknowledged, unknown: this.unknown, lost, doubled, findings };
  }
}
