import type { EnvironmentSpec } from '../../../infra/model.ts';
import { alertsGate } from '../../gates/environment/alerts.ts';
import { testsGate } from '../../gates/tests/tests.ts';
import type { Gate } from '../../journal/verdict.ts';
import type { ReleaseContext } from '../context/context.ts';
import { testEnvironment } from './qualification.ts';

/** A service of which one instance can be stopped without anybody noticing: what the proof of alerts needs. */
export const redundantService = ({ services }: EnvironmentSpec) => services.find(({ instances }) => instances > 1);

/** The gates on a colour that serves nobody yet: its own smoke tests, and the alerts, where an instance can be spared. */
export async function smokeGates(context: ReleaseContext): Promise<Gate[]> {
  const { definition, to } = context;
  const running = await context.connect();
  const artefact = context.artefact();
  const redundant = redundantService(context.spec());
  return [
    testsGate({
      id: 'smoke',
      title: `Smoke tests of ${artefact.version} on ${to.colour}, through the entry point`,
      jobs: running.jobs,
      artefact,
      command: definition.tests.smoke.command,
      env: testEnvironment(running.router.entry, to.colour),
      timeoutMs: definition.tests.smoke.timeoutSeconds * 1000,
    }),
    ...(redundant === undefined
      ? []
      : [
          alertsGate({
            alerts: running.alerts,
            instances: running.instances,
            instance: `${redundant.name}.${to.colour}.1`,
            onDelivered: (delivery) => context.journal.append({ type: 'alert.delivered', ...delivery }),
          }),
        ]),
  ];
}
