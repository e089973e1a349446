import { realpath } from 'node:fs/promises';
import { stackKinds, type EnvironmentName } from '../../infra/model.ts';
import { environmentDirectory } from '../../infra/lib/paths.ts';
import type { Engine } from './engine.ts';
import { UntrustedState } from './state.ts';

/**
 * The directory that an environment was recorded in, where that is not this one's: the project was moved or copied with its state. What
 * is changed by such a record is changed there, in the environment of another copy. Undefined where the record is of here.
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

/** The same directory may have several names: a link, another mount. */
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
    `the engine's state is of the environment in ${elsewhere}: the project was moved or copied`,
    'nothing was changed. Move it back; a copy never takes a state along',
  );
}
