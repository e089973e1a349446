import * as pulumi from '@pulumi/pulumi';
import { stackName, type Artefact, type ColourSpec, type EnvironmentName, type ServiceSpec } from '../../model.ts';
import { type FoundationOutputs, readFoundation } from './foundation.ts';
import { Layout } from '../lib/layout.ts';
import { processEnvironment } from '../lib/process-environment.ts';
import { databaseReference } from '../provider/secret-reference.ts';
import { PostgresCluster, Process } from './resources.ts';

export async function colourStack(
  environment: EnvironmentName,
  spec: ColourSpec,
): Promise<Record<string, pulumi.Input<unknown>>> {
  const colour = new ColourStack(environment, spec, await readFoundation(environment));
  // Recorded only once all instances of the artefact are ready.
  const artefact = pulumi.all(colour.instances.map(({ id }) => id)).apply(() => spec.artefact);
  return { colour: spec.colour, artefact, database: colour.database.id };
}

/** A colour: the database, and all instances of all services of one version. */
class ColourStack extends pulumi.ComponentResource {
  readonly database: PostgresCluster;
  readonly instances: Process[];
  readonly #spec: ColourSpec;
  readonly #foundation: FoundationOutputs;
  readonly #layout: Layout;

  constructor(environment: EnvironmentName, spec: ColourSpec, foundation: FoundationOutputs) {
    super('greenlight:stack:Colour', stackName(environment, spec.colour));
    this.#spec = spec;
    this.#foundation = foundation;
    this.#layout = new Layout(environment);

    this.database = this.#database();
    const { artefact } = spec;
    this.instances =
      artefact === undefined ? [] : foundation.spec.services.flatMap((service) => this.#service(service, artefact));
    this.registerOutputs({});
  }

  #database() {
    const { colour } = this.#spec;
    const { spec, ports, fingerprint, secrets } = this.#foundation;
    const passwords = ['admin', 'owner', 'app'].map((role) => secrets[`${colour}-${role}`] as string);
    const args = {
      ...this.#place(),
      colour,
      port: ports.database[colour],
      maxConnections: spec.database.maxConnections,
      ...(spec.database.version === undefined ? {} : { version: spec.database.version }),
      restartOn: [fingerprint, ...passwords],
    };
    return new PostgresCluster(`database.${colour}`, args, { parent: this });
  }

  #service(service: ServiceSpec, artefact: Artefact): Process[] {
    const { colour } = this.#spec;
    const { spec, ports } = this.#foundation;
    const { version } = artefact;
    const publicUrl = `https://localhost:${ports.https}`;
    const databaseUrl = databaseReference(this.#layout, ports, colour);
    return (ports.instances[colour][service.name] ?? []).map((port, index) => {
      const name = `${service.name}.${colour}.${index + 1}`;
      const args = {
        ...this.#place(),
        name,
        argv: service.start,
        env: processEnvironment(this.#layout, { spec, ports, service, port, publicUrl, version, colour, databaseUrl }),
        cwd: artefact.location,
        ready: { kind: 'http' as const, url: `http://127.0.0.1:${port}${service.health}` },
        readySeconds: 30,
        stopSignal: 'TERM' as const,
        stopSeconds: 15,
        stopGroup: true,
        balanced: true,
        restartOn: [artefact.digest],
      };
      return new Process(name, args, { parent: this, dependsOn: this.database });
    });
  }

  #place = () => ({ environment: this.#layout.environment, directory: this.#layout.directory });
}
