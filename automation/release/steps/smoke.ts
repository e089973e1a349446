import type { EnvironmentSpec } from '../../../infra/model.ts';
import { alertsGate } from '../../gates/environment/alerts.ts';
import { testsGate } from '../../gates/tests/tests.ts';
import type { Gate } from '../../journal/verdict.ts';
import type { ReleaseContext } from '../context/context.ts';
import { testEnvironment } from './qualification.ts';

/** A service of which one instance can be stopped without anybody noticing: what the proof of alerts needs. */
export const redundantService = ({ services }: EnvironmentSpec) => services.find(({ instances }) => instances > 1);

export const smokeTitle = 'Smoke tests through the real entry point, by the header route';
export const alertsTitle = 'A stopped instance raises an alert that reaches a receiver';

/** The version's own smoke tests, on its colour, which serves nobody yet. */
export async function smokeGate(context: ReleaseContext): Promise<Gate> {
  const { definition, to } = context;
  const running = await context.connect();
  const artefact = context.artefact();
  return testsGate({
    id: 'smoke',
    title: `Smoke tests of ${artefact.version} on ${to.colour}, through the entry point`,
    jobs: running.jobs,
    artefact,
    command: definition.tests.smoke.command,
    env: testEnvironment(running.router.entry, to.colour),
    timeoutMs: definition.tests.smoke.timeoutSeconds * 1000,
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
