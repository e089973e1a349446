import { readFileSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { OperationError } from '../../lib/errors.ts';
import type { Colour, EnvironmentName } from '../../model.ts';
import { environmentDirectory } from '../../lib/paths.ts';

/**
 * Where a local environment keeps its things. The resource provider writes them, the platform's interfaces read
 * them: so that a flip or a rollback needs neither the engine nor its state.
 */

/** Loopback ports of an environment; allocated once, by the foundation stack, and recorded in `ports.json`. */
export interface Ports {
  https: number;
  /** Redirects to https. */
  http: number;
  /** HAProxy's own Prometheus exporter. */
  balancerMetrics: number;
  prometheus: number;
  alertmanager: number;
  /** The environment's own alert receiver. */
  alertReceiver: number;
  database: Record<Colour, number>;
  /** Per colour and service, one per instance. */
  instances: Record<Colour, Record<string, number[]>>;
  /** Stand-ins of integrations, by name. */
  integrations: Record<string, number>;
}

/** Secrets of an environment; each a file of its own in `secrets/` (0600). */
export type SecretName = 'route' | `${Colour}-${'admin' | 'owner' | 'app'}`;

export class Layout {
  readonly environment: EnvironmentName;
  readonly directory: string;

  constructor(environment: EnvironmentName, directory = environmentDirectory(environment)) {
    this.environment = environment;
    this.directory = directory;
  }

  /** `ca.pem` (authority), `server.crt`, `server.key`, `server.pem` (both, for HAProxy). */
  certificates = (): string => join(this.directory, 'ca');
  caFile = (): string => join(this.certificates(), 'ca.pem');
  balancer = (): string => join(this.directory, 'haproxy');
  prometheus = (): string => join(this.directory, 'prometheus');
  alertmanager = (): string => join(this.directory, 'alertmanager');
  supervisor = (): string => join(this.directory, 'supervisor');
  logs = (): string => join(this.directory, 'logs');
  database = (colour: Colour): string => join(this.directory, 'postgres', colour);
  scratch = (): string => join(this.directory, 'scratch');
  backups = (): string => join(this.directory, 'backups');
  portsFile = (): string => join(this.directory, 'ports.json');
  secretFile = (name: SecretName): string => join(this.directory, 'secrets', name);

  ports(): Ports {
    return JSON.parse(this.#read(this.portsFile())) as Ports;
  }

  secret(name: SecretName): string {
    const file = this.secretFile(name);
    const value = this.#read(file).replaceAll('\0', '').trim();
    // A power cut can leave a file of zeros. It is not absent: what is made anew is not what the database has.
    if (value === '') throw this.damagedSecret(name, 'is empty');
    return value;
  }

  damagedSecret = (name: SecretName, found: string): OperationError =>
    new OperationError(
      `reading the secret ${name} of ${this.environment}`,
      `${this.secretFile(name)} ${found}`,
      'put its content back from a backup of this file; only where no database has this password yet, delete the file',
    );

  #read(file: string): string {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new OperationError(
        `reading the ${this.environment} environment`,
        `${file} is missing`,
        'bring its foundation up first: npm run release',
        { cause: error },
      );
    }
  }
}

/** PATH of everything supervised: the Node.js that runs Greenlight, then the system's. The same from every shell. */
export const searchPath = (): string =>
  [dirname(process.execPath), '/usr/local/bin', '/opt/homebrew/bin', '/usr/bin', '/bin'].join(':');
