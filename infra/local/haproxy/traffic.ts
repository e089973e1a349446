import { inOrder } from '../../lib/in-order.ts';
import type { TrafficWindow } from '../../platform/metrics.ts';
import { AccessLog, rotatedAway, type AccessRecord } from './access-log.ts';
import { Tally } from './tally.ts';

/** Reads windows of traffic from the balancer's log. Its memory does not grow with the length of a window. */
export class Traffic {
  readonly #file: string;
  readonly #patienceMs: number;
  #log: AccessLog;
  /** Of everything since the first window. */
  #tally: Tally;
  readonly #inOrder = inOrder();

  /** `patienceMs`: a client that left later than this had waited in vain. */
  constructor(file: string, patienceMs: number) {
    this.#file = file;
    this.#patienceMs = patienceMs;
    this.#log = new AccessLog(file);
    this.#tally = new Tally(0, patienceMs);
  }

  /**
   * The traffic within [from, to), ms since the epoch. Rejects with an OperationError if the log does not exist or if a part of that
   * time was rotated away, because a partial window would be misleading. A window costs reading the whole log if it begins
   * earlier than a minute ago, and where none began before.
   */
  window(from: number, to: number): Promise<TrafficWindow> {
    return this.#inOrder(async () => {
      const { begins } = await this.#log.read(
        (request) => this.#tally.add(request),
        () => (this.#tally = new Tally(from, this.#patienceMs)),
      );
      if (begins !== undefined && begins > from) {
        this.#log = new AccessLog(this.#file);
        throw rotatedAway(from, begins);
      }
      return this.#tally.window(from, to) ?? (await this.#apart(from, to));
    });
  }

  async #apart(from: number, to: number): Promise<TrafficWindow> {
    const tally = new Tally(from, this.#patienceMs);
    const see = (request: AccessRecord): void => {
      if (request.at < to) tally.add(request);
    };
    const { begins } = await new AccessLog(this.#file).read(see, () => undefined);
    const found = begins !== undefined && begins > from ? undefined : tally.window(from, to);
    if (found === undefined) throw rotatedAway(from, begins ?? from);
    return found;
  }
}
