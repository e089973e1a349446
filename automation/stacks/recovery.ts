import type { Stack } from '@pulumi/pulumi/automation/index.js';
import { isReal, type Deployment, type Recorded } from './state.ts';

/**
 * Settles what a killed engine left. What it was creating may be there or not: it is put into the state, and a refresh
 * then looks at it and drops what is not there. What it was changing or deleting is in the state already, and the
 * same refresh finds out how far that got. So nothing is forgotten that may exist.
 */
export async function settlePending(stack: Stack, recorded: Recorded): Promise<void> {
  if (recorded.pending.length === 0) return;
  const state = await stack.exportStack();
  const deployment = state.deployment as Deployment;
  const resources = (deployment.resources ??= []);
  for (const { type, resource } of deployment.pending_operations ?? []) {
    if (type !== 'creating' || !isReal(resource)) continue;
    const id = idOf(resource.urn);
    if (resources.some((known) => known.urn === resource.urn && known.id === id)) continue;
    resources.push({ ...resource, id, outputs: { ...resource.inputs } });
  }
  delete deployment.pending_operations;
  await stack.importStack(state);
  await stack.refresh();
}

/** Greenlight's provider gives a resource its name as its id, so that it is known before the resource is made. */
const idOf = (urn: string): string => urn.split('::').at(-1) as string;
