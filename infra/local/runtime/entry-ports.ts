import { claimPort } from '../../lib/free-ports.ts';
import { environmentNames, type EnvironmentName } from '../../model.ts';
import { Layout } from '../lib/layout.ts';
import { otherPort, whoHas } from '../supervisor/ports.ts';
import { recordedPorts, reservedPorts } from '../supervisor/reserved-ports.ts';
import { Supervisor } from '../supervisor/supervisor.ts';

/** Ports of entry points that the release definition fixes. */
export type EntryPorts = Partial<Record<EnvironmentName, number>>;

/** Ports that this program has claimed for entry points. It keeps them until it ends. */
const claimed = new Set<number>();

/**
 * What keeps an environment from the port that its definition fixes, a sentence each. Until this program ends, it keeps the ports from
 * other releases: two that begin together find it out now, and not in the middle.
 */
export async function takenEntryPorts(wanted: EntryPorts): Promise<string[]> {
  const problems: string[] = [];
  for (const environment of environmentNames) {
    const port = wanted[environment];
    if (port === undefined) continue;
    const taken = await takenBy(new Layout(environment), port);
    if (taken !== undefined) problems.push(`port ${port} of ${environment} is taken by ${taken}; ${otherPort}`);
  }
  return problems;
}

async function takenBy(layout: Layout, port: number): Promise<string | undefined> {
  const isOurs = (await recordedPorts(layout.portsFile()))?.https === port;
  if (isOurs && (await new Supervisor(layout).running())) return undefined;
  const found = await whoHas(port, await reservedPorts(layout.directory));
  if (found !== undefined || claimed.has(port)) return found;
  if (!(await claimPort(port))) return 'another release that has just begun';
  claimed.add(port);
  return undefined;
}
