import * as pulumi from '@pulumi/pulumi';
import { stackName, type Artefact, type ColourSpec, type EnvironmentName, type ServiceSpec } from '../../model.ts';
import { type FoundationOutputs, readFoundation } from './foundation.ts';
import { Layout } from '../lib/layout.ts';
import { instanceProcess } from './instance.ts';
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
    return (ports.instances[colour][service.name] ?? []).map((port, index) => {
      const of = { layout: this.#layout, spec, ports, colour, artefact, service, port, index };
      const instance = instanceProcess(of);
      return new Process(instance.name, { ...this.#place(), ...instance }, { parent: this, dependsOn: this.database });
    });
  }

  #place = () => ({ environment: this.#layout.environment, directory: this.#layout.directory });
}
