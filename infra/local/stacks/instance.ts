import { readOnlyAdvice, serviceContainer, type ContainerProgram } from '../../containers/containers.ts';
import type { VersionImages } from '../../containers/record.ts';
import { greenlight } from '../../lib/command.ts';
import { OperationError } from '../../lib/errors.ts';
import {
  defaultStartSeconds,
  defaultStopSeconds,
  type Artefact,
  type ColourSpec,
  type EnvironmentSpec,
  type ServiceSpec,
} from '../../model.ts';
import type { Layout, Ports } from '../lib/layout.ts';
import { mountsOf } from '../lib/files.ts';
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
  /** Images of the version. Undefined: it has none. */
  images?: VersionImages | undefined;
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
  const name = `${service.name}.${colour}.${index + 1}`;
  const env = programEnvironment(of, service, { image: service.name, port });
  const container = containerOf(of, service, { name, env });
  if (container === undefined && service.start.length === 0) throw nothingToStart(service, artefact.version);
  return {
    name,
    label: `${service.name} ${artefact.version}`,
    ...(container === undefined ? { argv: service.start, env } : { ...supervised(container), advice: readOnlyAdvice }),
    cwd: artefact.location,
    ready: readinessOf(service, port, publicUrlOf(of), container?.within),
    readySeconds: service.startSeconds ?? defaultStartSeconds,
    stopSignal: 'TERM',
    stopSeconds: service.stopSeconds ?? defaultStopSeconds,
    stopGroup: true,
    balanced: true,
    restartOn: [artefact.digest],
  };
}

/** The container of an instance, or of a command in the image of a service. Undefined if it runs in none, or the version has no such image. */
export function containerOf(
  { layout, spec, images }: Pick<VersionPlace, 'layout' | 'spec' | 'images'>,
  service: ServiceSpec | undefined,
  of: { name: string; env: Record<string, string>; program?: string[] },
): ContainerProgram | undefined {
  if (service === undefined) return undefined;
  const { environment } = layout;
  return serviceContainer(images, service, { ...of, environment, mounts: mountsOf(layout, spec) });
}

const supervised = ({ argv, clear, env }: ContainerProgram) => ({ argv, clear, env });

/** A version that was built before its service had an image. */
export const nothingToStart = ({ name }: ServiceSpec, version: string): OperationError =>
  new OperationError(
    `starting ${name} ${version}`,
    'this version was built without an image of it, and the definition has no start',
    `build it again: ${greenlight('release', '--version', version)}`,
  );

/**
 * Environment of a program of a version, with references to secrets. Without `port`: it listens nowhere. `image`: the service in whose
 * image it runs.
 */
export function programEnvironment(
  of: VersionPlace,
  program: Pick<ServiceSpec, 'env' | 'database'>,
  { image, port }: { image?: string | undefined; port?: number },
): Record<string, string> {
  const { layout, ports, artefact, images } = of;
  const { colour, secrets = {} } = of.colour;
  const { version } = artefact;
  const database = databaseReference(layout, ports, colour);
  const secretOf = (name: string) => {
    const kept = secrets[name];
    return kept === undefined ? undefined : applicationReference(name, kept);
  };
  const contained = image !== undefined && images?.record.services[image] !== undefined;
  const place = { contained, port, publicUrl: publicUrlOf(of), database, secretOf };
  return processEnvironment(layout, { ...of, ...place, service: program, version, colour });
}

const publicUrlOf = ({ ports }: Pick<VersionPlace, 'ports'>): string => `https://localhost:${ports.https}`;
