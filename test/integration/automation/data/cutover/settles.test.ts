import { expect } from 'chai';
import { cutoverSteps } from '../../../../../automation/data/cutover/procedure.ts';
import { allCases, play, table, titleOf, type Case, type Outcome } from './matrix.ts';
import { CutoverScene } from './scene.ts';

/** `npm run faults` plays all cases. */
const every = process.env['GREENLIGHT_FAULTS'] === 'all';
const wanted = process.env['GREENLIGHT_FAULTS_ONLY'];
/** Otherwise one case of each step and each fault: the matrix is walked along its diagonals. */
const chosen = (cases: Case[]): Case[] => (every ? cases : cases.filter((_, index) => index % 17 === 0));

describe('a cutover under faults ends in one of three states by itself', function () {
  this.timeout(120_000);
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });
  const outcomes: Outcome[] = [];
  after(() => console.log(table(outcomes)));

  for (const what of chosen(allCases).filter(
    (c) => wanted === undefined || wanted === '' || titleOf(c).includes(wanted),
  ))
    it(`${titleOf(what)} [I1]`, async () => {
      outcomes.push(
        await play(scene, what).catch((error: unknown) => {
          console.log(String(error));
          throw error;
        }),
      );
    });

  it('has a case of every step', () => {
    expect(new Set(chosen(allCases).map(({ step }) => step))).to.deep.equal(new Set(cutoverSteps));
  });
});
