import { expect } from 'chai';
import { faults } from '../faults.ts';
import { allCases, play, someCases, table, titleOf, type Outcome } from './matrix.ts';
import { CutoverScene } from './scene.ts';

/** `npm run faults` plays all cases, or those whose title has the text of GREENLIGHT_FAULTS_ONLY. */
const every = process.env['GREENLIGHT_FAULTS'] === 'all';
const only = process.env['GREENLIGHT_FAULTS_ONLY'] ?? '';
const cases = (every ? allCases : someCases()).filter((one) => titleOf(one).includes(only));

describe('a move of writes under faults ends in one of three states by itself', function () {
  this.timeout(120_000);
  const scene = new CutoverScene({ holdMs: 2000, drainMs: 1000 });
  const outcomes: Outcome[] = [];
  after(() => console.log(table(outcomes)));

  for (const one of cases)
    it(`${titleOf(one)} [I1]`, async () => {
      outcomes.push(
        await play(scene, one).catch((error: unknown) => {
          // All cases take long: a failure is shown when it happens.
          console.log(String(error));
          throw error;
        }),
      );
    });

  it('has a case of each fault', () => {
    expect(new Set(someCases().map(({ fault }) => fault))).to.include.all.keys(Object.keys(faults));
  });
});
