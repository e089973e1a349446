import { expect } from 'chai';
import { createRig, type Rig } from '../automation/data/rig.ts';
import { djangoWorld } from '../../worlds/django.ts';
import { release } from '../../worlds/journey.ts';
import { railsWorld } from '../../worlds/rails.ts';

/** Two of the worlds, one by each way of copying; all of them by both: npm run worlds. */
describe('schemas of others, released there and back with their load', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  for (const [world, mode, refusals] of [
    [railsWorld, 'physical', 2],
    [djangoWorld, 'rows', 0],
  ] as const)
    it(`${world.name}, by ${mode === 'rows' ? 'a copy of rows' : 'a physical copy'}: every acknowledged write is there once`, async () => {
      const outcome = await release(rig, world, mode);
      console.log(
        `    ${outcome.acknowledged} writes, holds ${[...outcome.forwardMs, ...outcome.backMs].map(Math.round).join(', ')} ms`,
      );
      expect(outcome.problems).to.deep.equal([]);
      expect(outcome).to.include({ lost: 0, doubled: 0, equal: true });
      expect(outcome.cured).to.have.length(refusals);
      expect(outcome.acknowledged).to.be.greaterThan(500);
      expect(outcome.forwardMs).to.have.length(2);
    });
});
