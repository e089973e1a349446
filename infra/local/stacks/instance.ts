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

/** What all programs of a version on one colour share. */
export interface VersionPlace {
  layout: Layout;
  spec: EnvironmentSpec;
  ports: Ports;
  colour: ColourSpec;
  artefact: Artefact;
}

export interface Instance extends VersionPlace {
  service: ServiceSpec;
  port: number;
  /** Instances count from 0 here. */
  index: number;
}

/** The supervised program that is one instance of a service, without its place. It contains references to secrets, and no secret. */
export function instanceProcess(of: Instance): Omit<ProcessInputs, keyof Place> {
  const { artefact, service, port, index } = of;
  const { colour } = of.colour;
  return {
    name: `${service.name}.${colour}.${index + 1}`,
    label: `${service.name} ${artefact.version}`,
    argv: service.start,
    env: programEnvironment(of, service, port),
    cwd: artefact.location,
    ready: readinessOf(service, port, publicUrlOf(of)),
    readySeconds: service.startSeconds ?? defaultStartSeconds,
    stopSignal: 'TERM',
    stopSeconds: service.stopSeconds ?? defaultStopSeconds,
    stopGroup: true,
    balanced: true,
    restartOn: [artefact.digest],
  };
}

/** Environment of a program of a version, with references to secrets. Without `port`: it listens nowhere. */
export function programEnvironment(
  of: VersionPlace,
  program: Pick<ServiceSpec, 'env' | 'database'>,
  port?: number,
): Record<string, string> {
  const { layout, ports, artefact } = of;
  const { colour, secrets = {} } = of.colour;
  const { version } = artefact;
  const database = databaseReference(layout, ports, colour);
  const secretOf = (name: string) => {
    const kept = secrets[name];
    return kept === undefined ? undefined : applicationReference(name, kept);
  };
  const place = { port, publicUrl: publicUrlOf(of), database, secretOf };
  return processEnvironment(layout, { ...of, ...place, service: program, version, colour });
}

const publicUrlOf = ({ ports }: Pick<VersionPlace, 'ports'>): string => `https://localhost:${ports.https}`;
