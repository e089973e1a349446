import * as pulumi from '@pulumi/pulumi';
import { stackName, type Artefact, type ColourSpec, type EnvironmentName } from '../../model.ts';
import { type FoundationOutputs, readFoundation } from './foundation.ts';
import { Layout } from '../lib/layout.ts';
import { guardsOf } from './guards.ts';
import { instanceProcess } from './instance.ts';
import { PostgresCluster, Process } from './resources.ts';

export async function colourStack(
  environment: EnvironmentName,
  spec: ColourSpec,
): Promise<Record<string, pulumi.Input<unknown>>> {
  const colour = new ColourStack(environment, spec, await readFoundation(environment));
  // Recorded only once all instances of the artefact are ready.
  const ready = <T>(what: T) => pulumi.all(colour.instances.map(({ id }) => id)).apply(() => what);
  const { artefact, secrets } = spec;
  return { colour: spec.colour, artefact: ready(artefact), secrets: ready(secrets), database: colour.database.id };
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
    this.instances = artefact === undefined ? [] : this.#version(artefact);
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

  /** All instances of the services, and the guards of workers and schedules. */
  #version(artefact: Artefact): Process[] {
    const { spec, ports } = this.#foundation;
    const of = { layout: this.#layout, spec, ports, colour: this.#spec, artefact };
    const instances = spec.services.flatMap((service) =>
      (ports.instances[this.#spec.colour][service.name] ?? []).map((port, index) =>
        instanceProcess({ ...of, service, port, index }),
      ),
    );
    return [...instances, ...guardsOf(of)].map(
      (program) =>
        new Process(program.name, { ...this.#place(), ...program }, { parent: this, dependsOn: this.database }),
    );
  }

  #place = () => ({ environment: this.#layout.environment, directory: this.#layout.directory });
}
