import type { EnvironmentSpec } from '../../../infra/model.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import { alertsGate } from '../../gates/environment/alerts.ts';
import { notItsTests } from '../../gates/web/routes-gate.ts';
import type { Gate } from '../../journal/verdict.ts';
import type { ReleaseContext } from '../context/context.ts';
import { situation } from '../context/situation.ts';
import { testsOrRoutes, through } from './own-tests.ts';

/** A service of which one instance can be stopped without anybody noticing: what the proof of alerts needs. */
export const redundantService = ({ services }: EnvironmentSpec) => services.find(({ instances }) => instances > 1);

export const smokeTitle = ({ tests }: ReleaseDefinition): string =>
  tests.smoke === undefined
    ? `Routes answer as those of the live version (${notItsTests})`
    : 'Smoke tests through the real entry point, by the header route';
export const alertsTitle = 'A stopped instance raises an alert that reaches a receiver';

/** The version's own smoke tests, on its colour, which serves nobody yet; where it has none, its routes beside those of the live version. */
export async function smokeGate(context: ReleaseContext): Promise<Gate> {
  const { definition, to } = context;
  const { jobs, router } = await context.connect();
  const { live } = await situation(context);
  const artefact = context.artefact();
  return testsOrRoutes(definition, 'smoke', {
    id: 'smoke',
    title: `${definition.tests.smoke === undefined ? 'Routes' : 'Smoke tests'} of ${artefact.version} on ${to.colour}, through the entry point`,
    jobs,
    artefact,
    target: through(router.entry, to.colour),
    live: live === undefined || live === to.colour ? undefined : through(router.entry, live),
  });
}

/** The proof of the alerts on the same colour, where an instance can be spared; else none. */
export async function alertsGates(context: ReleaseContext): Promise<Gate[]> {
  const redundant = redundantService(context.spec());
  if (redundant === undefined) return [];
  const { alerts, instances } = await context.connect();
  return [
    alertsGate({
      alerts,
      instances,
      instance: `${redundant.name}.${context.to.colour}.1`,
      onDelivered: (delivery) => context.journal.append({ type: 'alert.delivered', ...delivery }),
    }),
  ];
}
