import { exitCodes } from '../../../automation/ui/exit-codes.ts';
import { shortRelease } from '../definition.ts';
import type { Check, Scenario } from '../scenario.ts';

/** What has to come of a drill, and how it is brought about: shared by the lists of scenarios. */

export const noGo = (stage: Scenario['expect']['stage'], gate?: string): Scenario['expect'] => ({
  exitCode: exitCodes.noGo,
  verdict: 'no-go',
  stage,
  ...(gate === undefined ? {} : { gate }),
});
export const rolledBack = (stage: Scenario['expect']['stage'], gate?: string): Scenario['expect'] => ({
  ...noGo(stage, gate),
  exitCode: exitCodes.rolledBack,
  verdict: 'rolled-back',
});
export const resumed = (stage: Scenario['expect']['stage']): Scenario['expect'] => ({
  exitCode: exitCodes.go,
  verdict: 'go',
  stage,
});
export const exits = (what: string, found: number, wanted: number): Check[] => [
  { what: `${what} exits with ${wanted}`, ok: found === wanted, found: String(found) },
];

const build: Scenario['changes'] = {
  application: {
    ...shortRelease.application,
    build: { command: ['node', 'test/drills/faulty-build.ts'], timeoutSeconds: 60 },
  },
};
export const planted = (name: string) => ({ planted: name, changes: build });

/** The command ends with a message, and no release is begun. */
export const refused = (says: RegExp): Scenario['expect'] => ({
  exitCode: exitCodes.problem,
  verdict: 'refused',
  stage: 'preflight',
  says,
});

export function kill({ killRelease }: Parameters<NonNullable<Scenario['act']>['run']>[0]): Promise<Check[]> {
  killRelease();
  return Promise.resolve([]);
}
