import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { flip } from '../../../../../automation/data/cutover/steps.ts';
import type { Side } from '../../../../../automation/data/link.ts';
import type { Colour } from '../../../../../infra/model.ts';
import type { Router } from '../../../../../infra/platform/router.ts';

/** How long the balancer is asked again, ms. */
const againMs = 100;

const side = (colour: Colour) => ({ colour }) as Side;

/** A balancer that changes one rule per call, and fails the first so many times between two of them. */
function oneByOne(failures: number): { router: Router; rules: Colour[] } {
  const rules: Colour[] = ['blue', 'blue'];
  const router: Partial<Router> = {
    settlesMs: 0,
    apply({ live }) {
      rules[0] = live;
      if (failures-- > 0) return Promise.reject(new Error('cut off'));
      rules[1] = live;
      return Promise.resolve();
    },
    read() {
      const [live, last] = rules as [Colour, Colour];
      return Promise.resolve({
        split: { live, percent: 0 },
        holdMs: 1,
        servers: [],
        ...(live !== last && { disagreeing: ['last'] }),
      });
    },
  };
  return { router: router as Router, rules };
}

describe('a flip of a balancer that changes its rules one by one', () => {
  it('is repeated while only some rules have changed', async () => {
    const { router, rules } = oneByOne(2);
    await flip(router, side('blue'), side('green'), againMs);
    expect(rules).to.deep.equal(['green', 'green']);
  });

  it('succeeds if the time is over but the balancer has flipped', async () => {
    const { router, rules } = oneByOne(0);
    const apply = router.apply.bind(router);
    let signal: AbortSignal | undefined;
    router.apply = (split, given) => ((signal = given), sleep(200).then(() => apply(split)));
    await flip(router, side('blue'), side('green'), againMs);
    expect(rules).to.deep.equal(['green', 'green']);
    expect(signal?.aborted).to.equal(true);
  });

  it('fails if the rules never agree', async () => {
    const { router } = oneByOne(Number.POSITIVE_INFINITY);
    const error = await flip(router, side('blue'), side('green'), againMs).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    expect(error?.message).to.contain('some of its rules only').and.to.contain('cut off');
  });
});
