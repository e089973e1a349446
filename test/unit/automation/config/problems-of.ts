import { expect } from 'chai';
import { checkRelease, ConfigError } from '../../../../automation/config/load.ts';
import { gatesOf } from '../../../../automation/release/plan.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';

/** A definition as somebody without an editor's help may write it. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the point is what the types would forbid
export type Draft = any;

/** What is wrong with the right definition after a change: `path: message` each. */
export function problemsOf(change: (draft: Draft) => void): string[] {
  const draft: Draft = validDefinition();
  change(draft);
  try {
    checkRelease('/somewhere/greenlight.config.ts', draft, gatesOf);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

export const validWaiver = {
  gate: 'capacity',
  reason: 'decided in the review',
  by: 'product owner',
  expires: '2099-12-31',
};

/** A mistake, how to make it, and how its message starts. */
export type Case = [what: string, change: (draft: Draft) => void, expected: string];

/** Each mistake is one problem, with its message. */
export function saysWhere(cases: readonly Case[]): void {
  for (const [what, change, expected] of cases) {
    it(`says where ${what} is, and what to do`, () => {
      const problems = problemsOf(change);
      expect(problems, problems.join('\n')).to.have.lengthOf(1);
      expect(problems[0]).to.satisfy(
        (message: string) => message.startsWith(expected),
        `${problems[0]}\n  wanted ${expected}`,
      );
    });
  }
}
