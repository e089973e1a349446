/**
 * What an environment is made of, as plain data. The programs of both platforms read it from stack configuration,
 * so `pulumi preview` by hand and the Automation API see the same thing.
 */

export type Colour = 'blue' | 'green';
export const colours = ['blue', 'green'] as const satisfies readonly Colour[];
export const other = (colour: Colour): Colour => (colour === 'blue' ? 'green' : 'blue');

export const platformNames = ['local', 'aws'] as const;
export type PlatformName = (typeof platformNames)[number];

export const environmentNames = ['staging', 'production'] as const;
export type EnvironmentName = (typeof environmentNames)[number];

/** The four stacks of an environment, in the order in which they come up; they go down in reverse. */
export const stackKinds = ['foundation', 'blue', 'green', 'traffic'] as const;
export type StackKind = (typeof stackKinds)[number];

/** Pulumi's name of a stack: `production-blue`. */
export const stackName = (environment: EnvironmentName, kind: StackKind): string => `${environment}-${kind}`;

/** How it is seen that an instance can serve: a URL path that answers 200, or the long forms (`infra/application/health.ts`). */
export type HealthSpec =
  | string
  | { path: string; status?: number | number[] | undefined; headers?: Record<string, string> | undefined }
  | { tcp: true }
  | { command: string[] };
/** Container engines that run images on the platform local. */
export type EngineName = 'podman' | 'docker';

/** Image of a service: built from a Dockerfile, or named. Paths are relative to the project's root. */
export type ImageSpec = (
  | { dockerfile: string; context: string; target?: string | undefined; args: Record<string, string> }
  | { reference: string }
) & {
  /** Whether it may run as root. */
  root: boolean;
  /** Whether it can write nowhere but in /tmp. */
  readOnly: boolean;
};

/** What an instance may use at most. */
export interface LimitsSpec {
  memoryMegabytes?: number | undefined;
  cpus?: number | undefined;
}

export interface ServiceSpec {
  name: string;
  /** Program and arguments. Empty: those of its image. */
  start: string[];
  health: HealthSpec;
  /** Longest time until an instance is healthy. Absent: `defaultStartSeconds`. */
  startSeconds?: number | undefined;
  /** Time between SIGTERM and SIGKILL. Absent: `defaultStopSeconds`. */
  stopSeconds?: number | undefined;
  image?: ImageSpec | undefined;
  limits?: LimitsSpec | undefined;
  /** URL path prefixes; the longest prefix wins. */
  routes: string[];
  /** Instances per colour in this environment. */
  instances: number;
  database: boolean;
  /** Values are templates: `infra/application/template.ts`. */
  env: Record<string, string>;
  /** Seconds: until an answer begins, and between two parts of a stream or a WebSocket. Absent: the defaults of the definition. */
  timeouts?: { answerSeconds: number; quietSeconds: number };
  /** What the balancer speaks to an instance. Absent: `http1`. */
  protocol?: 'http1' | 'h2c';
  /** A client stays with one instance of a colour. Absent: no. */
  sticky?: boolean;
}

/** A program beside the services that gets no requests. It runs on the live colour alone. */
export interface WorkerSpec {
  name: string;
  /** The service in whose image it runs. Absent: it runs in the artefact. */
  image?: string | undefined;
  start: string[];
  /** Instances per colour in this environment; those of the other colour do not run. */
  instances: number;
  database: boolean;
  env: Record<string, string>;
  /** Seconds between SIGTERM and SIGKILL. */
  stopSeconds: number;
}

/** A command that the live colour runs at certain times. */
export interface ScheduleSpec {
  name: string;
  /** Five fields: minute, hour, day of the month, month, day of the week. */
  cron: string;
  /** IANA name of the zone in which these times are meant. */
  timeZone: string;
  /** The service in whose image it runs. Absent: it runs in the artefact. */
  image?: string | undefined;
  command: string[];
  database: boolean;
  env: Record<string, string>;
  stopSeconds: number;
  /** A run that takes longer is ended. */
  timeoutSeconds: number;
}

/** A directory for files of users. It outlives releases, and both colours share it. */
export interface FilesSpec {
  name: string;
  /** Environment variable that carries its path. Absent: none. */
  env?: string | undefined;
  /** A backup of more is refused. */
  maxMegabytes: number;
}
export const defaultStartSeconds = 30;
export const defaultStopSeconds = 15;
/** Used where a service says none, as in the stack of an earlier version. Seconds. */
export const defaultTimeouts = { answerSeconds: 30, quietSeconds: 300 };

export const timeoutsOf = ({ timeouts }: Pick<ServiceSpec, 'timeouts'>): typeof defaultTimeouts =>
  timeouts ?? defaultTimeouts;

/** The longest time-out of all services, seconds. */
export const longestTimeout = ({ services }: Pick<EnvironmentSpec, 'services'>): number =>
  Math.max(...services.map(timeoutsOf).flatMap(({ answerSeconds, quietSeconds }) => [answerSeconds, quietSeconds]));

export interface IntegrationSpec {
  name: string;
  /** Environment variable that carries its URL to the services. */
  env: string;
  url?: string;
  standIn?: string[];
  health: string;
}

/** Configuration of the foundation stack (`greenlight:environment`, JSON). */
export interface EnvironmentSpec {
  application: string;
  environment: EnvironmentName;
  services: ServiceSpec[];
  /** Absent, as the next two: none. An environment of an earlier version has recorded none of them. */
  workers?: WorkerSpec[];
  schedules?: ScheduleSpec[];
  files?: FilesSpec[];
  integrations: IntegrationSpec[];
  /** Methods that only read, and path prefixes that write whatever their method. */
  /** `withoutCookie`: a request that has none of these cookies writes, too. */
  writes: { reads: string[]; paths: string[]; withoutCookie?: string[] | undefined };
  /**
   * Largest head of a request or an answer, KiB, and largest body of a request, MiB. `streams`: path prefixes whose answers last as long as somebody
   * listens. Absent: the defaults of the definition.
   */
  http?: { headerKilobytes: number; bodyMegabytes?: number | undefined; streams: string[] };
  /** HTTPS port of the entry point. Absent: a free port is allocated. */
  port?: number;
  database: {
    maxConnections: number;
    /** Major version of PostgreSQL of a database that is made. Absent: that of the live one, or the programs in use. Not on AWS. */
    version?: number | undefined;
  };
  slo: { errorRate: number; p95Ms: number };
  alertReceivers: { name: string; webhook: string }[];
}

/** A build: everything that runs, addressed by its content. */
export interface Artefact {
  version: string;
  /** `sha256:<hex>` over the sorted file list, modes and contents. */
  digest: string;
  /** Local: directory that holds it. AWS: image reference. */
  location: string;
}

/** Configuration of a colour's stack (`greenlight:colour`, JSON). */
export interface ColourSpec {
  colour: Colour;
  /** Absent: the stack has only the database, which is filled and migrated before a version starts on it. */
  artefact?: Artefact;
  /** Platform settings that replace those of the release definition: a colour with users keeps those it runs with. */
  settings?: Readonly<Record<string, unknown>>;
  /** Versions of the application's secrets that its processes run with, by name: see `platform/secrets.ts`. */
  secrets?: Readonly<Record<string, string>>;
}

/**
 * Configuration of the traffic stack: who gets which requests. A release is promoted by changing only this.
 * All writes go to `live`; `percent` of the reads go to the other colour.
 */
export interface Split {
  live: Colour;
  /** Percent of reads (0-100) that go to the colour that is not live. */
  percent: number;
}
