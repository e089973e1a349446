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

type Application = typeof shortRelease.application;

/** The application with a migration that the gate `migrations` would stop, accepted: a later gate has to catch the fault. */
export const accepting = (file: string): Application => ({
  ...shortRelease.application,
  migrations: {
    directory: 'migrations',
    contract: ['009_2.0.0_contract.sql'],
    accept: [{ file, rule: 'breaks-old-version', reason: 'the drill is about a later gate' }],
  },
});

export const planted = (name: string, application: Application = shortRelease.application) => ({
  planted: name,
  changes: {
    application: { ...application, build: { command: ['node', 'test/drills/faulty-build.ts'], timeoutSeconds: 60 } },
  },
});

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
