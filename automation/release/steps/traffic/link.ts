import type { Colour } from '../../../../infra/model.ts';
import { linkBetween, type Link, type Side } from '../../../data/link.ts';
import type { ReleaseContext } from '../../context/context.ts';

type Connected = Pick<ReleaseContext, 'connect'>;

/** A colour of the environment that is released to, with the access to its database. */
export async function sideOf({ connect }: Connected, colour: Colour): Promise<Side> {
  const { databases } = await connect();
  return { colour, access: await databases.of(colour) };
}

/** The replication from one colour's database to the other's, whether it is there or not. */
export async function linkOf(context: Connected, from: Colour, to: Colour): Promise<Link> {
  const [source, target] = await Promise.all([sideOf(context, from), sideOf(context, to)]);
  return linkBetween(source, target);
}
