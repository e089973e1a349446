import type { Stack } from '@pulumi/pulumi/automation/index.js';
import type { EngineSettings } from '../../infra/platform.ts';
import { isReal, onlyRecorded, type Deployment, type Recorded } from './state.ts';

/**
 * Settles what a killed engine left. What it was creating may be there or not: it is put into the state, and a refresh
 * then looks at it and drops what is not there. What it was changing or deleting is in the state already, and the
 * same refresh finds out how far that got. So nothing is forgotten that may exist, but for what has an id that only the
 * provider knew: resolves to the URNs of those, for a person to look for.
 */
export async function settlePending(
  stack: Stack,
  recorded: Recorded,
  settings: Pick<EngineSettings, 'idOf'>,
): Promise<string[]> {
  if (recorded.pending.length === 0) return [];
  const state = await stack.exportStack();
  const deployment = state.deployment as Deployment;
  const resources = (deployment.resources ??= []);
  const orphans: string[] = [];
  for (const { type, resource } of deployment.pending_operations ?? []) {
    if (type !== 'creating' || !isReal(resource)) continue;
    const id = settings.idOf(resource);
    if (id === undefined) {
      if (!onlyRecorded(resource)) orphans.push(resource.urn);
    } else if (!resources.some((known) => known.urn === resource.urn && known.id === id))
      resources.push({ ...resource, id, outputs: { ...resource.inputs } });
  }
  delete deployment.pending_operations;
  await stack.importStack(state);
  await stack.refresh();
  return orphans;
}
