import { expect } from 'chai';
import {
  cutoverSteps,
  describeCutover,
  Walk,
  type CutoverStep,
} from '../../../../../automation/data/cutover/procedure.ts';
import { describeWindow, windowSteps } from '../../../../../automation/data/cutover/window.ts';

const nothing = () => Promise.resolve();
const rejection = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => expect.fail('it did not reject'),
    (error: unknown) => error as Error,
  );

describe('the procedure of a cutover', () => {
  it('is described with a sentence for each step, by the colours and the direction', () => {
    const forward = describeCutover({ from: 'blue', to: 'green', direction: 'forward' });
    const rollback = describeCutover({ from: 'green', to: 'blue', direction: 'rollback' });
    for (const sentences of [forward, rollback]) expect(sentences).to.have.length(cutoverSteps.length);
    const at = cutoverSteps.indexOf('follow');
    expect(forward[at]).to.equal(
      'end the replication to green, let blue take what the migrations loosened, start the replication back to it',
    );
    expect(rollback[at]).to.equal('end the replication to blue');
  });

  it('of a read-only window is described in the same way, by the colours', () => {
    const sentences = describeWindow({ from: 'blue', to: 'green' });
    expect(sentences).to.have.length(windowSteps.length);
    expect(sentences[windowSteps.indexOf('end')]).to.equal(
      'end the replication to green: from here it goes live or is thrown away',
    );
  });

  it('is run in order: a step that is skipped or comes too early is refused before it does anything', async () => {
    const seen: CutoverStep[] = [];
    const walk = new Walk(cutoverSteps, (step) => seen.push(step));
    await walk.step('prepare', nothing);
    let begun = false;
    const error = await rejection(walk.step('drain', async () => void (begun = await Promise.resolve(true))));
    expect(error.message).to.equal('step drain was begun in the place of hold');
    expect(begun).to.equal(false);
    expect(walk.current).to.equal('hold');
    for (const step of cutoverSteps.slice(1)) await walk.step(step, nothing);
    expect(seen).to.deep.equal(cutoverSteps);
    expect((await rejection(walk.step('compare', nothing))).message).to.include('in the place of none');
  });

  it('reports the detail of a step, and no step that failed', async () => {
    const seen: [string, string | undefined][] = [];
    const walk = new Walk(cutoverSteps, (step, _, detail) => seen.push([step, detail]));
    const found = await walk.step(
      'prepare',
      () => Promise.resolve(2),
      (count) => `${count} sequences`,
    );
    await rejection(walk.step('hold', () => Promise.reject(new Error('no'))));
    expect(found).to.equal(2);
    expect(seen).to.deep.equal([['prepare', '2 sequences']]);
    expect(walk.current).to.equal('hold');
  });

  it('is aborted by an observer that throws before the flip, and goes on after it with a warning', async () => {
    const walk = new Walk(cutoverSteps, () => {
      throw new Error('disk full');
    });
    const flip = cutoverSteps.indexOf('flip');
    for (const [index, step] of cutoverSteps.entries()) {
      const outcome = await walk.step(step, nothing).then(
        () => 'done',
        (error: Error) => error.message,
      );
      expect(outcome, step).to.equal(index < flip ? 'disk full' : 'done');
    }
    expect(walk.warnings).to.deep.equal(cutoverSteps.slice(flip).map(() => 'recording a step failed: disk full'));
  });
});
