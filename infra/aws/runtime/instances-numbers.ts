/** Numbers tasks of a service, as tasks have none. Pure but for what it remembers. */
export interface Numbered {
  arn: string;
  /** ms since the epoch. */
  createdAt: number;
}

/**
 * Numbers from 1 on, by age. A task keeps its number while it is there; one that comes takes the lowest that is free, so that
 * who replaces `api.blue.1` is `api.blue.1`. Across programs they are only as stable as the tasks.
 */
export class Numbers {
  readonly #known = new Map<string, Map<string, number>>();

  /** Of all tasks that a group has now. */
  of(group: string, tasks: Numbered[]): Map<string, number> {
    const before = this.#known.get(group) ?? new Map<string, number>();
    const kept = new Map([...before].filter(([arn]) => tasks.some((task) => task.arn === arn)));
    const taken = new Set(kept.values());
    const byAge = tasks.toSorted((a, b) => a.createdAt - b.createdAt || (a.arn < b.arn ? -1 : 1));
    for (const { arn } of byAge.filter((task) => !kept.has(task.arn))) {
      let number = 1;
      while (taken.has(number)) number++;
      taken.add(number);
      kept.set(arn, number);
    }
    this.#known.set(group, kept);
    return kept;
  }
}
