import { openLocalWorkbench } from '../../infra/local/workbench.ts';
import { secrets } from '../../infra/lib/redact.ts';
import { check } from '../check/check.ts';
import { collect, renderEnd, renderLine, type CheckLine, type Findings } from '../check/findings.ts';
import { ConfigError, loadRelease } from '../config/load.ts';
import type { ReleaseDefinition } from '../config/schema.ts';
import { environmentSpec } from '../release/context/spec.ts';
import { gatesOf } from '../release/plan.ts';
import { exitCodes } from '../ui/exit-codes.ts';
import { createTerminal } from '../ui/terminal.ts';
import { abortOnSignals } from './session.ts';

export interface CheckOptions {
  config?: string;
  platform?: string;
  json?: boolean;
}

/**
 * Tries everything that a release does to a version, beside all environments, and prints what it would refuse. Changes nothing.
 * Resolves to the exit code: 1 if there is an error.
 */
export async function runCheck(options: CheckOptions): Promise<number> {
  const json = options.json === true;
  const isTTY = process.stdout.isTTY && !json;
  const terminal = createTerminal({ stdout: process.stdout, isTTY, env: process.env });
  const abort = abortOnSignals(() => undefined, 'nothing was changed; repeat it: greenlight check', 'checking');
  const began = performance.now();
  const show = (line: CheckLine): void => {
    if (!json) terminal.print(secrets.redact(renderLine(line)));
  };
  const found = collect(show);
  try {
    const definition = await definitionOf(options, found);
    if (definition !== undefined)
      await tryIt(definition, found, abort.signal, (text) => {
        if (isTTY) terminal.waiting(text);
      });
  } finally {
    abort.close();
    terminal.close();
  }
  const errors = found.lines.filter(({ level }) => level === 'error').length;
  const output = json
    ? secrets.redact(JSON.stringify({ errors, lines: found.lines, changed: [] }, undefined, 2))
    : renderEnd(found.lines, (performance.now() - began) / 1000);
  process.stdout.write(`${output}\n`);
  return errors === 0 ? exitCodes.go : exitCodes.problem;
}

async function definitionOf(options: CheckOptions, found: Findings): Promise<ReleaseDefinition | undefined> {
  try {
    const definition = await loadRelease(gatesOf, options.config, options.platform);
    found.ok('greenlight.config.ts', `${definition.application.name} ${definition.application.version}`);
    return definition;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const { path, message } of error.problems) found.error(path === '' ? 'greenlight.config.ts' : path, message);
    return undefined;
  }
}

/** Tries a version on a workbench that is closed in any case. */
export async function tryIt(
  definition: ReleaseDefinition,
  found: Findings,
  signal: AbortSignal,
  waiting: (text: string) => void,
): Promise<void> {
  const redact = (text: string): string => secrets.redact(text);
  const bench = await openLocalWorkbench(environmentSpec(definition, 'staging'), {
    redact,
    engine: definition.application.engine,
  });
  try {
    await check({ definition, bench, found, signal, waiting });
  } finally {
    await bench.close();
  }
}
