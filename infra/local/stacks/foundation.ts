import * as pulumi from '@pulumi/pulumi';
import { colours, type EnvironmentSpec, type IntegrationSpec, type EnvironmentName } from '../../model.ts';
import { projectRoot } from '../../lib/paths.ts';
import { searchPath, Layout, type Ports as PortTable, type SecretName } from '../lib/layout.ts';
import { portsWanted } from '../supervisor/ports.ts';
import { Balancer, Certificates, Monitoring, Ports, Process, Secret, Supervisor } from './resources.ts';
import { stackReference } from '../../stacks.ts';

/** Outputs that the other stacks of the environment use. */
export interface FoundationOutputs {
  spec: EnvironmentSpec;
  ports: PortTable;
  fingerprint: string;
  /** Hashes of the secrets, by name. */
  secrets: Record<string, string>;
}

/** `alertReceivers` is a separate parameter because it is secret. `spec.alertReceivers` is ignored. */
export function foundationStack(
  spec: EnvironmentSpec,
  alertReceivers: pulumi.Input<EnvironmentSpec['alertReceivers']>,
): Record<string, pulumi.Input<unknown>> {
  const foundation = new Foundation(spec, alertReceivers);
  return {
    spec,
    ports: foundation.ports.ports,
    fingerprint: foundation.certificates.fingerprint,
    secrets: foundation.secretHashes,
    baseUrl: pulumi.interpolate`https://localhost:${foundation.ports.ports.https}`,
    // Resolves only when everything is up.
    ready: pulumi.all([foundation.balancer.id, foundation.monitoring.id]).apply(() => true),
  };
}

/** Resources that an environment has once, for both colours. */
class Foundation extends pulumi.ComponentResource {
  readonly ports: Ports;
  readonly certificates: Certificates;
  readonly secretHashes: pulumi.Output<Record<string, string>>;
  readonly balancer: Balancer;
  readonly monitoring: Monitoring;
  readonly #spec: EnvironmentSpec;
  readonly #place: { environment: EnvironmentSpec['environment']; directory: string };

  constructor(spec: EnvironmentSpec, alertReceivers: pulumi.Input<EnvironmentSpec['alertReceivers']>) {
    super('greenlight:stack:Foundation', spec.environment);
    this.#spec = spec;
    this.#place = { environment: spec.environment, directory: new Layout(spec.environment).directory };

    this.ports = new Ports('ports', { ...this.#place, ...portsWanted(spec) }, { parent: this });
    this.certificates = new Certificates('certificates', this.#place, { parent: this });
    this.secretHashes = this.#secrets();
    const supervisor = new Supervisor('supervisor', this.#place, { parent: this });
    for (const integration of spec.integrations) this.#standIn(integration, supervisor);
    this.balancer = this.#balancer(supervisor);
    this.monitoring = this.#monitoring(supervisor, alertReceivers);
    this.registerOutputs({});
  }

  #secrets() {
    const roles = ['admin', 'owner', 'app'] as const;
    const names: SecretName[] = [
      'route',
      ...colours.flatMap((colour) => roles.map((role): SecretName => `${colour}-${role}`)),
    ];
    const make = (name: SecretName) => new Secret(`secret-${name}`, { ...this.#place, name }, { parent: this }).sha256;
    return pulumi.all(Object.fromEntries(names.map((name) => [name, make(name)])));
  }

  /** Starts the stand-in of an integration that has no URL. */
  #standIn({ name, standIn, health, url }: IntegrationSpec, supervisor: Supervisor) {
    if (url !== undefined) return;
    if (standIn === undefined) throw new Error(`the integration ${name} has neither a url nor a standIn`);
    const port = this.ports.ports.apply((ports) => ports.integrations[name] as number);
    const ready = port.apply((number) => ({ kind: 'http' as const, url: `http://127.0.0.1:${number}${health}` }));
    const env = { PATH: searchPath(), HOST: '127.0.0.1', PORT: port.apply(String) };
    new Process(
      `integration.${name}`,
      {
        ...this.#place,
        name: `integration.${name}`,
        argv: standIn,
        env: pulumi.all(env),
        cwd: projectRoot(),
        ready,
        readySeconds: 20,
        stopSignal: 'TERM',
        stopSeconds: 5,
        stopGroup: true,
        balanced: false,
        restartOn: [],
      },
      { parent: this, dependsOn: supervisor },
    );
  }

  #balancer(supervisor: Supervisor) {
    const restartOn = [this.certificates.fingerprint, this.secretHashes.apply((hashes) => hashes['route'] as string)];
    const args = { ...this.#place, spec: this.#spec, ports: this.ports.ports, restartOn };
    return new Balancer('balancer', args, { parent: this, dependsOn: supervisor });
  }

  #monitoring(supervisor: Supervisor, alertReceivers: pulumi.Input<EnvironmentSpec['alertReceivers']>) {
    const args = { ...this.#place, spec: this.#spec, ports: this.ports.ports, alertReceivers };
    return new Monitoring('monitoring', args, { parent: this, dependsOn: supervisor });
  }
}

/** Outputs of the environment's foundation stack. Rejects with an Error if it is not up. */
export async function readFoundation(environment: EnvironmentName): Promise<FoundationOutputs> {
  const reference = new pulumi.StackReference(stackReference(environment, 'foundation'));
  const read = async (name: string) => {
    const { value } = (await reference.getOutputDetails(name)) as { value?: unknown };
    if (value === undefined) throw new Error(`the stack ${environment}-foundation has no ${name}: bring it up first`);
    return value;
  };
  const [spec, ports, fingerprint, secrets] = await Promise.all(['spec', 'ports', 'fingerprint', 'secrets'].map(read));
  return { spec, ports, fingerprint, secrets } as FoundationOutputs;
}
