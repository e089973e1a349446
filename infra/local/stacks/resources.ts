import * as pulumi from '@pulumi/pulumi';
import type { EnvironmentSpec } from '../../model.ts';
import type { Ports as PortTable, SecretName } from '../lib/layout.ts';
import type { Place } from '../provider/handler.ts';
import type { ProcessInputs } from '../provider/process.ts';

/** Resource classes of the local provider, for programs. `provider/` implements them, one file per type. */

type Args<T> = { [K in keyof T]: pulumi.Input<T[K]> };
type Options = pulumi.CustomResourceOptions;

class LocalResource extends pulumi.CustomResource {
  constructor(type: string, name: string, inputs: object, computed: string[], options: Options) {
    const outputs = Object.fromEntries(computed.map((key) => [key, undefined]));
    super(`greenlight:local:${type}`, name, { ...outputs, ...inputs }, options);
  }
}

export class Ports extends LocalResource {
  declare readonly ports: pulumi.Output<PortTable>;
  constructor(
    name: string,
    args: Args<Place & { https?: number; services: Record<string, number>; integrations: string[] }>,
    options: Options,
  ) {
    super('Ports', name, args, ['ports'], options);
  }
}

export class Certificates extends LocalResource {
  declare readonly fingerprint: pulumi.Output<string>;
  declare readonly validTo: pulumi.Output<string>;
  constructor(name: string, args: Args<Place>, options: Options) {
    super('Certificates', name, args, ['fingerprint', 'validTo'], options);
  }
}

export class Secret extends LocalResource {
  declare readonly sha256: pulumi.Output<string>;
  constructor(name: string, args: Args<Place & { name: SecretName }>, options: Options) {
    super('Secret', name, args, ['sha256'], options);
  }
}

export class Supervisor extends LocalResource {
  constructor(name: string, args: Args<Place>, options: Options) {
    super('Supervisor', name, args, [], options);
  }
}

export class Process extends LocalResource {
  constructor(name: string, args: Args<ProcessInputs>, options: Options) {
    super('Process', name, args, [], options);
  }
}

export class PostgresCluster extends LocalResource {
  constructor(
    name: string,
    args: Args<Place & { colour: string; port: number; maxConnections: number; version?: number }> & {
      restartOn: pulumi.Input<string>[];
    },
    options: Options,
  ) {
    super('PostgresCluster', name, args, [], options);
  }
}

export class Balancer extends LocalResource {
  constructor(
    name: string,
    args: Args<Place & { spec: EnvironmentSpec; ports: PortTable }> & { restartOn: pulumi.Input<string>[] },
    options: Options,
  ) {
    super('Balancer', name, args, [], options);
  }
}

export class Monitoring extends LocalResource {
  constructor(
    name: string,
    args: Args<Place & { spec: EnvironmentSpec; ports: PortTable; alertReceivers: EnvironmentSpec['alertReceivers'] }>,
    options: Options,
  ) {
    super('Monitoring', name, args, [], options);
  }
}

export class Routing extends LocalResource {
  constructor(
    name: string,
    args: Args<Place & { spec: EnvironmentSpec; live: string; percent: number }>,
    options: Options,
  ) {
    super('Routing', name, args, [], options);
  }
}
