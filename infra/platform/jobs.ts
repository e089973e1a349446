import type { Artefact } from '../model.ts';
import type { DatabaseAccess } from './databases.ts';

export interface Job {
  name: string;
  artefact: Artefact;
  /** Runs in this image, not in the artefact's, where the platform runs images; elsewhere its programs must be installed. */
  image?: string;
  /** Run in the artefact's directory. */
  command: string[];
  env: Record<string, string>;
  timeoutMs: number;
  /** A file that the job writes: `{results}` in the command is replaced by its path where it runs. */
  results?: string;
  /** Where the log (both streams) is kept, redacted. */
  log: string;
  signal?: AbortSignal;
}

export interface JobResult {
  exitCode: number | undefined;
  timedOut: boolean;
  ms: number;
  /** Last lines of the log, for messages. */
  tail: string;
}

/** One-off tasks beside the services: migrations, seeds, tests. A job that fails does not reject: its result says so. */
export interface Jobs {
  run(job: Job): Promise<JobResult>;
}

/** A version that runs beside the environment, on a database of its own: nothing routes to it but its own entry. */
export interface Preview {
  baseUrl: string;
  caFile?: string;
  /** Headers that lead a request to it; their values are secrets. */
  routeHeaders: Record<string, string>;
  dispose(): Promise<void>;
}

export interface Previews {
  /** Starts one instance of every service of `artefact` on `access` and waits until all are healthy. */
  serve(artefact: Artefact, access: DatabaseAccess): Promise<Preview>;
}
