import { expect } from 'chai';
import { releaseDefinition } from '../../../../../automation/config/schema.ts';
import type { ReleaseContext } from '../../../../../automation/release/context/context.ts';
import type { Replacement } from '../../../../../automation/release/context/release.ts';
import { plannedSteps } from '../../../../../automation/release/context/stage.ts';
import { canary } from '../../../../../automation/release/stages/canary.ts';
import { validDefinition } from '../../../../lib/valid-definition.ts';

describe('a canary without steps', () => {
  const release = {
    definition: releaseDefinition.parse({ ...validDefinition(), canary: { steps: [] } }),
    from: { colour: 'blue', version: '1.0.0' },
    to: { colour: 'green', version: '2.0.0' },
  } as unknown as Replacement;
  const stage = canary(release);
  const found = (split: object) =>
    stage.verify?.({
      connect: () => Promise.resolve({ router: { read: () => Promise.resolve({ split }) } }),
    } as never as ReleaseContext);

  it('moves no read, and compares the databases all the same', () => {
    const says = plannedSteps(stage)
      .map((step) => step.says)
      .join('\n');
    expect(says).not.to.match(/% of reads/);
    expect(plannedSteps(stage).flatMap(({ gates = {} }) => Object.keys(gates))).to.include('following');
    expect([stage.workMs, stage.observationMs]).to.deep.equal([0, 0]);
  });

  it('is as it should be only where every read goes to the live colour', async () => {
    expect(await found({ live: 'blue', percent: 0 })).to.equal(undefined);
    expect(await found({ live: 'blue', percent: 10 })).to.include('"percent":10');
    expect(await found({ live: 'green', percent: 0 })).to.include('green');
  });
});
