import { readOnlyAdvice, serviceContainer } from '../../containers/containers.ts';
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
  /** Images of the version. Undefined: it has none. */
  images?: VersionImages | undefined;
}

/** The supervised program that is one instance of a service, without its place. It contains references to secrets, and no secret. */
export function instanceProcess(of: Instance): Omit<ProcessInputs, keyof Place> {
  const { layout, ports, artefact, service, port, index, images } = of;
  const { colour, secrets = {} } = of.colour;
  const { version } = artefact;
  const publicUrl = `https://localhost:${ports.https}`;
  const database = databaseReference(layout, ports, colour);
  const secretOf = (secret: string) => {
    const kept = secrets[secret];
    return kept === undefined ? undefined : applicationReference(secret, kept);
  };
  const name = `${service.name}.${colour}.${index + 1}`;
  const contained = images?.record.services[service.name] !== undefined;
  const env = processEnvironment(layout, { ...of, colour, publicUrl, version, database, secretOf, contained });
  const place = { environment: layout.environment, name, env, mounts: [{ source: layout.caFile() }] };
  const container = serviceContainer(images, service, place);
  if (container === undefined && service.start.length === 0) throw nothingToStart(service, version);
  return {
    name,
    label: `${service.name} ${version}`,
    ...(container === undefined ? { argv: service.start, env } : { ...container, advice: readOnlyAdvice }),
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

/** A version that was built before its service had an image. */
export const nothingToStart = ({ name }: ServiceSpec, version: string): OperationError =>
  new OperationError(
    `starting ${name} ${version}`,
    'this version was built without an image of it, and the definition has no start',
    `build it again: ${greenlight('release', '--version', version)}`,
  );
