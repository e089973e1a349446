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
}

/** The supervised program that is one instance of a service, without its place. It contains references to secrets, and no secret. */
export function instanceProcess(of: Instance): Omit<ProcessInputs, keyof Place> {
  const { layout, ports, colour, artefact, service, port, index } = of;
  const publicUrl = `https://localhost:${ports.https}`;
  const databaseUrl = databaseReference(layout, ports, colour);
  return {
    name: `${service.name}.${colour}.${index + 1}`,
    argv: service.start,
    env: processEnvironment(layout, { ...of, publicUrl, version: artefact.version, databaseUrl }),
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
