import { withClient } from '../../../../automation/data/connect.ts';
import { linkBetween, type Side } from '../../../../automation/data/link.ts';
import { syncStatus, type SyncStatus } from '../../../../automation/data/replication/sync.ts';
import { mayWrite } from '../../../../automation/data/schema.ts';
import { other, type Colour } from '../../../../infra/model.ts';
import type { Router } from '../../../../infra/platform/router.ts';

/** Where writes go and what replicates, as the balancer and both databases say it. */
export interface DataState {
  live: Colour | undefined;
  /** Who may write. */
  writers: Record<Colour, boolean>;
  /** The replication to each colour. */
  links: Record<Colour, SyncStatus>;
  /** What is left of a cutover that did not end: at rest the live colour alone writes, and nothing is replicated into it. */
  findings: string[];
  /** `interrupted`: there are findings. `replicating`: before a cutover, or in the bake time. */
  phase: 'idle' | 'replicating' | 'interrupted';
}

export async function stateOf({ blue, green }: Record<Colour, Side>, router: Router): Promise<DataState> {
  const { split, holdMs } = await router.read();
  const live = split?.live;
  const writer = ({ access }: Side) => withClient(access, 'admin', mayWrite);
  const writers = { blue: await writer(blue), green: await writer(green) };
  const links = {
    blue: await syncStatus(linkBetween(green, blue)),
    green: await syncStatus(linkBetween(blue, green)),
  };
  const findings: string[] = [];
  if (holdMs > 0) findings.push(`writes are held for another ${Math.round(holdMs)} ms`);
  if (live !== undefined) {
    if (!writers[live]) findings.push(`${live} is live and may not write`);
    if (writers[other(live)]) findings.push(`${other(live)} is not live and may write`);
    if (links[live].state !== 'none') findings.push(`there is a replication into ${live}, which is live`);
  }
  const replicating = Object.values(links).some(({ state }) => state !== 'none');
  return {
    live,
    writers,
    links,
    findings,
    phase: findings.length > 0 ? 'interrupted' : replicating ? 'replicating' : 'idle',
  };
}
