import type { Colour, EnvironmentName, Split } from '../../../infra/model.ts';
import type { RouterState } from '../../../infra/platform/router.ts';
import type { ReleaseContext } from './context.ts';

/** Who serves users now, by the balancer itself and never by what was recorded. */
export interface Situation extends RouterState {
  /** The colour that gets the writes; undefined before the first go-live. */
  live: Colour | undefined;
}

/** Asks the balancer of an environment, by default of the one that is released to. */
export async function situation(
  { connect }: Pick<ReleaseContext, 'connect'>,
  environment?: EnvironmentName,
): Promise<Situation> {
  const state = await (await connect(environment)).router.read();
  return { ...state, live: state.split?.live };
}

/** What the balancer says where it is not what was asked for; undefined where it is. */
export function otherThan({ split }: Situation, wanted: Pick<Split, 'live'> & Partial<Split>): string | undefined {
  const same = split?.live === wanted.live && (wanted.percent === undefined || split.percent === wanted.percent);
  return same ? undefined : `the balancer says ${JSON.stringify(split)}`;
}
