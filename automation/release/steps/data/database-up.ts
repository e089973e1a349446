import type { Colour, EnvironmentName } from '../../../../infra/model.ts';
import type { ReleaseContext } from '../../context/context.ts';
import { majorVersion } from '../../context/versions.ts';
import { takeDown } from './empty.ts';

/**
 * Brings the database of a colour up that is not live. One of another major version than `wanted` is taken down first and made anew,
 * where that is quick; elsewhere the engine upgrades it in its place.
 */
export async function databaseUp(
  context: ReleaseContext,
  environment: EnvironmentName,
  colour: Colour,
  wanted = context.spec(environment).database.version,
): Promise<void> {
  const up = (): Promise<void> => context.up(environment, { kind: colour, colour: { colour } });
  await up();
  if (wanted === undefined || context.platform.idleColour !== 'taken down') return;
  const { databases } = await context.connect(environment);
  if ((await majorVersion(await databases.of(colour))) === wanted) return;
  await takeDown(context, environment, colour);
  await up();
}
