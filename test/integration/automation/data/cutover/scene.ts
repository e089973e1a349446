import { expect } from 'chai';
import { cutover } from '../../../../../automation/data/cutover/cutover.ts';
import type { CutoverOptions, CutoverResult } from '../../../../../automation/data/cutover/types.ts';
import { startSync, waitForSync } from '../../../../../automation/data/replication/sync.ts';
import { createRig, expand, schemaV1, type Rig } from '../rig.ts';
import { stateOf, type DataState } from '../state.ts';
import { MemoryRouter, Workload } from '../traffic.ts';

/** Two databases, a balancer in memory and writers: what every test of a cutover needs. Registers its own hooks. */
export class CutoverScene {
  rig!: Rig;
  router!: MemoryRouter;
  #load: Workload | undefined;
  readonly #settings: CutoverOptions['settings'];

  constructor(settings: CutoverOptions['settings'], versions: Parameters<typeof createRig>[0] = {}) {
    this.#settings = settings;
    before(async () => {
      this.rig = await createRig(versions);
    });
    after(() => this.rig.dispose());
    afterEach(async () => {
      await this.#load?.stop();
      this.#load = undefined;
    });
  }

  /** The writers. Throws where there are none. */
  get load(): Workload {
    if (this.#load === undefined) throw new Error('nobody writes: call write first');
    return this.#load;
  }

  /** Blue live with the first schema, green following with the second. */
  async following(): Promise<void> {
    const { rig } = this;
    await rig.fresh(schemaV1);
    this.router = new MemoryRouter();
    await expand(rig);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
  }

  /** Starts writers, and waits until so many writes are answered. */
  async write(perSecond: number, writers: number | undefined, answered: number): Promise<void> {
    this.#load = new Workload(this.rig, this.router, perSecond, writers);
    await this.#load.more(answered);
  }

  forward(options: Partial<CutoverOptions> = {}): Promise<CutoverResult> {
    const { rig, router } = this;
    const settings = this.#settings;
    return cutover({ router, from: rig.blue, to: rig.green, direction: 'forward', settings, ...options });
  }

  back(options: Partial<CutoverOptions> = {}): Promise<CutoverResult> {
    const { rig, router } = this;
    const settings = this.#settings;
    return cutover({ router, from: rig.green, to: rig.blue, direction: 'rollback', settings, ...options });
  }

  state(): Promise<DataState> {
    return stateOf(this.rig, this.router);
  }

  /** Waits for more writes, ends them, and expects every acknowledged one once. `mayFail`: clients may have been told of errors. */
  async expectNothingLost(more: number, { mayFail = false } = {}): Promise<void> {
    const { load } = this;
    await load.more(more);
    await load.stop();
    if (!mayFail) expect(load.failures).to.deep.equal([]);
    expect(await load.check(this.rig)).to.deep.equal([]);
  }
}
