import type { Artefact, Colour, EnvironmentName } from '../../infra/model.ts';
import type { Platform } from '../../infra/platform.ts';
import type { Engine } from '../stacks/engine.ts';

/** What is on a colour, as the engine recorded it. */
export interface Deployed {
  colour: Colour;
  artefact: Artefact | undefined;
}

export interface Live extends Deployed {
  artefact: Artefact;
}

/** What is live on an environment; undefined before its first go-live. */
export async function readLive(engine: Engine, environment: EnvironmentName): Promise<Live | undefined> {
  if (!(await engine.exists(environment, 'traffic'))) return undefined;
  const traffic = await engine.config(environment, 'traffic');
  if (traffic.kind !== 'traffic') return undefined;
  const { live } = traffic.split;
  const artefact = await readArtefact(engine, environment, live);
  return artefact === undefined ? undefined : { colour: live, artefact };
}

/** The same artefact, at its place on this machine: another one may have recorded it. */
export const located = async ({ artefacts }: Platform, artefact: Artefact): Promise<Artefact> =>
  (await artefacts.find(artefact.digest)) ?? artefact;

/** The artefact that runs on a colour; undefined where the colour is not up, or has its database alone. */
export async function readArtefact(
  engine: Engine,
  environment: EnvironmentName,
  colour: Colour,
): Promise<Artefact | undefined> {
  if (!(await engine.exists(environment, colour))) return undefined;
  const config = await engine.config(environment, colour);
  return config.kind === 'blue' || config.kind === 'green' ? config.colour.artefact : undefined;
}
