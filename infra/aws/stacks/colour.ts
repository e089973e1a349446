import * as pulumi from '@pulumi/pulumi';
import type { Artefact, ColourSpec, EnvironmentName, ServiceSpec } from '../../model.ts';
import { Alarms } from './monitoring/alarms.ts';
import { databaseReferences, resolved } from './database/database-references.ts';
import { DatabaseLogin, secretValue } from './database/database-login.ts';
import { Database } from './database/database.ts';
import { readFoundation, type FoundationOutputs } from '../lib/foundation-reference.ts';
import { imageTag } from '../lib/names.ts';
import { accountProvider, Component, placeOf, type Place } from '../lib/place.ts';
import { taskEnvironment } from './services/service-environment.ts';
import { Service } from './services/service.ts';
import type { AwsSettings } from '../lib/settings.ts';

export async function colourStack(
  environment: EnvironmentName,
  spec: ColourSpec,
  wanted: AwsSettings,
): Promise<Record<string, pulumi.Input<unknown>>> {
  // A colour with users keeps its recorded settings: a changed class or version of the database would restart it.
  const settings: AwsSettings = { ...wanted, ...spec.settings };
  const { foundation, routeSecret } = await readFoundation(environment);
  const of = { colour: spec.colour, version: spec.artefact?.version };
  const place = placeOf(environment, foundation.spec.application, settings, of);
  const args = { spec, foundation, routeSecret };
  const colour = new ColourStack(args, place, { providers: [accountProvider(place)] });
  // Recorded only once the database exists and all tasks are healthy.
  const made = <T>(what: T) => colour.made.apply(() => what);
  return { colour: spec.colour, artefact: made(spec.artefact), settings: made(settings), ...colour.outputs };
}

interface ColourArgs {
  spec: ColourSpec;
  foundation: FoundationOutputs;
  routeSecret: pulumi.Output<string>;
}

const mapped = <T, U>(record: Record<string, T>, change: (name: string, value: T) => U): Record<string, U> =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(name, value)]));

/** One colour: the database, and every service of one version. */
class ColourStack extends Component {
  readonly services: Service[];
  /** Resolves once the database exists and the tasks of every service are healthy. */
  readonly made: pulumi.Output<unknown>;
  /** What the traffic stack and the runtime need to reach the colour. */
  readonly outputs: Record<string, pulumi.Input<unknown>>;
  readonly #args: ColourArgs;
  readonly #database: Database;
  readonly #logins: Record<'owner' | 'app', DatabaseLogin>;

  constructor(args: ColourArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Colour', `${place.environment}-${args.spec.colour}`, place, options);
    this.#args = args;
    const { artefact } = args.spec;

    this.#database = this.#makeDatabase();
    this.#logins = { owner: this.#login('owner'), app: this.#login('app') };
    this.services =
      artefact === undefined ? [] : args.foundation.spec.services.map((service) => this.#service(service, artefact));
    if (artefact !== undefined) this.#alarms();

    const { instance } = this.#database;
    this.made = pulumi.all([instance.id, ...this.services.map(({ service }) => service.id)]);
    this.outputs = {
      database: { identifier: instance.identifier, host: instance.address, port: instance.port },
      adminSecretArn: instance.masterUserSecrets.apply(([secret]) => secret?.secretArn),
      ownerSecretArn: this.#logins.owner.secret.arn,
      appSecretArn: this.#logins.app.secret.arn,
      targetGroups: artefact === undefined ? undefined : this.#byService(({ targetGroup }) => targetGroup.arn),
    };
    this.registerOutputs({});
  }

  #makeDatabase() {
    const { network, securityGroups, keyArn, spec } = this.#args.foundation;
    const { maxConnections } = spec.database;
    const where = { subnetIds: network.isolatedSubnetIds, securityGroupId: securityGroups.databases, keyArn };
    return new Database({ colour: this.#args.spec.colour, maxConnections, ...where }, this.place, this.child);
  }

  #login(role: 'owner' | 'app') {
    const { colour } = this.#args.spec;
    const args = { instance: this.#database.instance, colour, keyArn: this.#args.foundation.keyArn };
    return new DatabaseLogin(role, args, this.place, this.child);
  }

  #service(service: ServiceSpec, artefact: Artefact) {
    const { foundation, routeSecret, spec } = this.#args;
    const { colour } = spec;
    const version = { version: artefact.version, colour };
    const { login } = this.#logins.app;
    const { variables, secrets } = taskEnvironment(foundation, service, version, databaseReferences);
    const environment = mapped(variables, (_, value) => resolved(value, login));
    const arns = mapped(secrets, (name, value) => this.#secretOf(service, name, value));
    const args = { colour, service, image: this.#image(artefact), environment, secrets: arns };
    return new Service({ ...args, foundation, routeSecret }, this.place, this.child);
  }

  /** The ARN of the secret with a variable's value. The secret's version: its value must exist before a task starts and reads it. */
  #secretOf(service: ServiceSpec, variable: string, value: string): pulumi.Output<string> {
    const { login, version } = this.#logins.app;
    if (value === databaseReferences.url) return version.arn;
    const name = this.named(`${this.#args.spec.colour}-${service.name}-${variable}`);
    return secretValue(name, resolved(value, login), { keyArn: this.#args.foundation.keyArn, place: this.place }, this)
      .version.arn;
  }

  #alarms() {
    const { colour } = this.#args.spec;
    const { spec, alarmTopicArn, balancerSuffix } = this.#args.foundation;
    const targetGroups = this.#byService(({ targetGroup, tasks }) => ({ suffix: targetGroup.arnSuffix, tasks }));
    const databaseIdentifier = this.#database.instance.identifier;
    const args = { colour, slo: spec.slo, topicArn: alarmTopicArn, balancerSuffix, databaseIdentifier, targetGroups };
    new Alarms(args, this.place, this.child);
  }

  #byService = <T>(pick: (service: Service) => T): Record<string, T> =>
    Object.fromEntries(
      this.#args.foundation.spec.services.map(({ name }, i) => [name, pick(this.services[i] as Service)]),
    );

  #image = ({ digest }: Artefact) => `${this.#args.foundation.repository.url}:${imageTag(digest)}`;
}
