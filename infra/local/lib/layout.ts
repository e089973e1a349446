import { readFileSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { greenlight } from '../../lib/command.ts';
import { OperationError } from '../../lib/errors.ts';
import type { Colour, EnvironmentName } from '../../model.ts';
import { environmentDirectory } from '../../lib/paths.ts';

/**
 * Paths of the files of a local environment. The resource provider writes these files and the platform's interfaces
 * read them. A flip or rollback therefore needs neither the engine nor its state.
 */

/** Loopback ports of an environment. The foundation stack allocates them once and records them in `ports.json`. */
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
  /** Stand-ins of integrations, by the integration's name. */
  integrations: Record<string, number>;
}

/** Secrets of an environment. Each is a file in `secrets/` (mode 0600). */
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
  /** Whose workers may run. In this directory itself, which their guards watch. */
  workersFile = (): string => join(this.directory, 'workers.json');
  /** What each guard says of itself. */
  workers = (): string => join(this.directory, 'workers');
  /** What the services keep in files, by the name in `application.files`. It outlives releases. */
  files = (name = ''): string => join(this.directory, 'files', name);
  portsFile = (): string => join(this.directory, 'ports.json');
  secrets = (): string => join(this.directory, 'secrets');
  /** File of one version of a secret of the application: `<name>.<version>`. */
  applicationSecretFile = (name: string): string => join(this.secrets(), `app-${name}`);
  secretFile = (name: SecretName): string => join(this.secrets(), name);

  ports(): Ports {
    return JSON.parse(this.#read(this.portsFile())) as Ports;
  }

  secret(name: SecretName): string {
    const file = this.secretFile(name);
    const value = this.#read(file).replaceAll('\0', '').trim();
    // A power cut can leave a file of zero bytes. It must not count as absent: a new password would not match the
    // database.
    if (value === '') throw this.damagedSecret(name, 'is empty');
    return value;
  }

  /** Value of one version of a secret of the application, `<name>.<version>`, exactly as it was given. */
  applicationSecret(name: string): string {
    const file = this.applicationSecretFile(name);
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      const [secret] = name.split('.');
      const todo = `read the secrets from their sources again: ${greenlight('secrets', '--rotate')}`;
      throw new OperationError(`reading the secret ${secret} of ${this.environment}`, `${file} is missing`, todo, {
        cause: error,
      });
    }
  }

  damagedSecret = (name: SecretName, found: string): OperationError =>
    new OperationError(
      `reading the secret ${name} of ${this.environment}`,
      `${this.secretFile(name)} ${found}`,
      'restore the file from a backup; delete it only if no database uses this password yet',
    );

  #read(file: string): string {
    try {
      return readFileSync(file, 'utf8');
    } catch (error) {
      throw new OperationError(
        `reading the ${this.environment} environment`,
        `${file} is missing`,
        `bring its foundation up first: ${greenlight('release')}`,
        { cause: error },
      );
    }
  }
}

/**
 * PATH of supervised processes, independent of the caller's shell: the Node.js that runs Greenlight, then the system's.
 */
export const searchPath = (): string =>
  [dirname(process.execPath), '/usr/local/bin', '/opt/homebrew/bin', '/usr/bin', '/bin'].join(':');
