import { expect } from 'chai';
import { periodMs } from '../../../../../automation/release/synthetic/recorder.ts';

describe('the record of the traffic', () => {
  /** Records of so many hours. */
  const records = (hours: number): number => {
    let count = 0;
    for (let at = 0; at < hours * 3_600_000; at += periodMs(at)) count += 1;
    return count;
  };

  it('is one in five seconds in the first hour, and a few thousand in a week', () => {
    expect(records(1)).to.equal(720);
    expect(records(7 * 24)).to.be.below(6_000);
  });
});
