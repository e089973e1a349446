import {
  defaultStartSeconds,
  defaultStopSeconds,
  type Artefact,
  type ColourSpec,
  type EnvironmentSpec,
  type ServiceSpec,
} from '../../model.ts';
import type { Layout, Ports } from '../lib/layout.ts';
import { processEnvironment } from '../lib/process-environment.ts';
import type { Place } from '../provider/handler.ts';
import type { ProcessInputs } from '../provider/process.ts';
import { applicationReference, databaseReference } from '../provider/secret-reference.ts';
import { readinessOf } from '../supervisor/readiness.ts';

export interface Instance {
  layout: Layout;
  spec: EnvironmentSpec;
  ports: Ports;
  colour: ColourSpec;
  artefact: Artefact;
  service: ServiceSpec;
  port: number;
  /** Instances count from 0 here. */
  index: number;
}

/** The supervised program that is one instance of a service, without its place. It contains references to secrets, and no secret. */
export function instanceProcess(of: Instance): Omit<ProcessInputs, keyof Place> {
  const { layout, ports, artefact, service, port, index } = of;
  const { colour, secrets = {} } = of.colour;
  const { version } = artefact;
  const publicUrl = `https://localhost:${ports.https}`;
  const database = databaseReference(layout, ports, colour);
  const secretOf = (name: string) => {
    const kept = secrets[name];
    return kept === undefined ? undefined : applicationReference(name, kept);
  };
  return {
    name: `${service.name}.${colour}.${index + 1}`,
    label: `${service.name} ${version}`,
    argv: service.start,
    env: processEnvironment(layout, { ...of, colour, publicUrl, version, database, secretOf }),
    cwd: artefact.location,
    ready: readinessOf(service, port, publicUrl),
    readySeconds: service.startSeconds ?? defaultStartSeconds,
    stopSignal: 'TERM',
    stopSeconds: service.stopSeconds ?? defaultStopSeconds,
    stopGroup: true,
    balanced: true,
    restartOn: [artefact.digest],
  };
}
