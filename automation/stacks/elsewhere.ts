import { stackKinds, type EnvironmentName } from '../../infra/model.ts';
import { environmentDirectory } from '../../infra/paths.ts';
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
  const here = environmentDirectory(environment);
  const recorded = await Promise.all(stackKinds.map((kind) => engine.resources(environment, kind)));
  const directories = recorded.flat().map(({ inputs }) => inputs['directory']);
  return directories.find((directory): directory is string => typeof directory === 'string' && directory !== here);
}

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
    'nothing was changed. Move it back; or, where this is a copy, delete the copy by hand (its state, too)',
  );
}
