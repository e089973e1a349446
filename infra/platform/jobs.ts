import type { Artefact } from '../model.ts';
import type { DatabaseAccess } from './databases.ts';

export interface Job {
  name: string;
  artefact: Artefact;
  /** Image to run in instead of the artefact's. On a platform without images, its programs must be installed. */
  image?: string;
  /** Runs in the artefact's directory. */
  command: string[];
  env: Record<string, string>;
  /** The login that its variables are about. */
  database?: { access: DatabaseAccess; role: 'owner' | 'app' };
  timeoutMs: number;
  /**
   * Path of a file that the job writes. `{results}` in the command is replaced by its path on the machine that runs the
   * job. The command may make a directory there.
   */
  results?: string;
  /**
   * Path in the artefact's directory where the command writes its results by itself, a file or a directory: they are brought to
   * `results`. Whatever is there beforehand is no result. Local only.
   */
  resultsIn?: string;
  /** True: the command writes into its directory. It, and a job with `resultsIn`, gets a copy of the artefact that is its own. */
  writable?: boolean;
  /** Path of the log of stdout and stderr, redacted. */
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

/** One-off tasks: migrations, seeds, tests. A failed job resolves: see `exitCode` and `timedOut`. */
export interface Jobs {
  run(job: Job): Promise<JobResult>;
}

/** Instances of a version that run beside both colours on another database. No user traffic reaches them. */
export interface Preview {
  baseUrl: string;
  caFile?: string;
  /** Headers that route a request to the preview. Their values are secret. */
  routeHeaders: Record<string, string>;
  dispose(): Promise<void>;
}

export interface Previews {
  /** Starts one instance of every service of `artefact` on `access` and waits until all are healthy. */
  serve(artefact: Artefact, access: DatabaseAccess): Promise<Preview>;
}
