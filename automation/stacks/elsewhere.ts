import { realpath } from 'node:fs/promises';
import { stackKinds, type EnvironmentName } from '../../infra/model.ts';
import { environmentDirectory } from '../../infra/lib/paths.ts';
import type { Engine } from './engine.ts';
import { UntrustedState } from './state.ts';

/**
 * The directory of the environment in the state, if it is not the one of this project: the project was moved or copied
 * with its state. Applying such a state would change the environment of the other copy. Undefined if it is this
 * project's.
 */
export async function recordedElsewhere(
  engine: Pick<Engine, 'resources'>,
  environment: EnvironmentName,
): Promise<string | undefined> {
  const here = await placeOf(environmentDirectory(environment));
  const recorded = await Promise.all(stackKinds.map((kind) => engine.resources(environment, kind)));
  for (const { inputs } of recorded.flat()) {
    const { directory } = inputs;
    if (typeof directory === 'string' && (await placeOf(directory)) !== here) return directory;
  }
  return undefined;
}

/** Resolves symbolic links, so that two names of one directory are equal. */
const placeOf = (directory: string): Promise<string> => realpath(directory).catch(() => directory);

export async function refuseElsewhere(
  engine: Pick<Engine, 'resources'>,
  environment: EnvironmentName,
  doing: string,
): Promise<void> {
  const elsewhere = await recordedElsewhere(engine, environment);
  if (elsewhere === undefined) return;
  throw new UntrustedState(
    doing,
    `the engine's state belongs to the environment in ${elsewhere}: the project was moved or copied`,
    'nothing was changed. Move the project back; a copy of a project must not take the state along',
  );
}
