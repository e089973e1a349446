import { readOnlyAdvice, serviceContainer } from '../../containers/containers.ts';
import type { VersionImages } from '../../containers/record.ts';
import { OperationError } from '../../lib/errors.ts';
import type { Artefact, Colour, EnvironmentSpec, ServiceSpec } from '../../model.ts';
import type { Layout, Ports } from '../lib/layout.ts';
import { processEnvironment } from '../lib/process-environment.ts';
import type { Place } from '../provider/handler.ts';
import type { ProcessInputs } from '../provider/process.ts';
import { databaseReference } from '../provider/secret-reference.ts';

export interface Instance {
  layout: Layout;
  spec: EnvironmentSpec;
  ports: Ports;
  colour: Colour;
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
  const { layout, ports, colour, artefact, service, port, index, images } = of;
  const { version } = artefact;
  const publicUrl = `https://localhost:${ports.https}`;
  const databaseUrl = databaseReference(layout, ports, colour);
  const name = `${service.name}.${colour}.${index + 1}`;
  const contained = images?.record.services[service.name] !== undefined;
  const env = processEnvironment(layout, { ...of, publicUrl, version, databaseUrl, contained });
  const place = { environment: layout.environment, name, env, mounts: [{ source: layout.caFile() }] };
  const container = serviceContainer(images, service, place);
  if (container === undefined && service.start.length === 0) throw nothingToStart(service, version);
  return {
    name,
    ...(container === undefined ? { argv: service.start, env } : { ...container, advice: readOnlyAdvice }),
    cwd: artefact.location,
    ready: { kind: 'http', url: `http://127.0.0.1:${port}${service.health}` },
    readySeconds: 30,
    stopSignal: 'TERM',
    stopSeconds: 15,
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
    `build it again: npm run release -- --version ${version}`,
  );
