import { expect } from 'chai';
import type { JournalEntry } from '../../../../automation/journal/events.ts';
import { buildReport } from '../../../../automation/report/model/build.ts';
import { journalOf } from '../../../lib/journals.ts';

/** A release of which no step of a canary is known, and whose definition had these. */
const without = (steps: number[]): JournalEntry[] =>
  journalOf('go')
    .filter(({ type }) => type !== 'canary.step')
    .map((entry) => (entry.type === 'release.started' ? { ...entry, settings: { canary: { steps } } } : entry));
const canary = (entries: JournalEntry[]) => buildReport(entries).checklist.find(({ id }) => id === 'canary');

describe('the canary in the report', () => {
  it('of no steps is none by the definition: it is not taken for a pass, nor for one that was not measured', () => {
    expect(canary(without([]))).to.deep.include({
      verdict: 'not-run',
      measured: 'no canary, by the definition (canary.steps: [])',
    });
  });

  it('that was to have steps and has none was not measured', () => {
    expect(canary(without([10, 50]))?.measured).to.equal('not measured');
  });
});
