import type { Artefact, Colour, EnvironmentSpec, ServiceSpec } from '../../model.ts';
import type { Layout, Ports } from '../lib/layout.ts';
import { processEnvironment } from '../lib/process-environment.ts';
import type { Place } from '../provider/handler.ts';
import type { ProcessInputs } from '../provider/process.ts';
import { databaseReference } from '../provider/secret-reference.ts';

/** What all programs of a version on one colour share. */
export interface VersionPlace {
  layout: Layout;
  spec: EnvironmentSpec;
  ports: Ports;
  colour: Colour;
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
  const { colour, artefact, service, port, index } = of;
  return {
    name: `${service.name}.${colour}.${index + 1}`,
    argv: service.start,
    env: programEnvironment(of, service, port),
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

/** Environment of a program of a version, with references to secrets. Without `port`: it listens nowhere. */
export function programEnvironment(
  of: VersionPlace,
  program: Pick<ServiceSpec, 'env' | 'database'>,
  port?: number,
): Record<string, string> {
  const { layout, ports, colour, artefact } = of;
  const publicUrl = `https://localhost:${ports.https}`;
  const databaseUrl = databaseReference(layout, ports, colour);
  return processEnvironment(layout, {
    ...of,
    service: program,
    port,
    publicUrl,
    version: artefact.version,
    databaseUrl,
  });
}
