import type { Artefact } from '../model.ts';
import type { Artefacts } from './artefacts.ts';
import type { DatabaseAccess, Databases } from './databases.ts';
import type { Images } from './images.ts';
import type { Jobs, Preview } from './jobs.ts';
import type { ApplicationSecrets } from './secrets.ts';

/** A version that runs on a workbench. */
export interface Trial extends Preview {
  /** Ends the services. Resolves to those that did not end on SIGTERM in time, and were killed. */
  stop(): Promise<string[]>;
}

/** A place of its own to try a version in: no environment is touched, and `close` leaves nothing. */
export interface Workbench {
  /** Folder for whatever is written meanwhile. */
  readonly directory: string;
  readonly artefacts: Artefacts;
  readonly images: Images;
  readonly databases: Pick<Databases, 'scratch'>;
  readonly jobs: Jobs;
  /** Of the workbench alone: none is read from an environment. */
  readonly secrets: ApplicationSecrets;
  /** Starts one instance of every service, and of every stand-in before, and waits until all are healthy. */
  serve(artefact: Artefact, access: DatabaseAccess): Promise<Trial>;
  /** What a service has written to its output since the last start; empty if nothing. */
  outputOf(service: string): Promise<string>;
  close(): Promise<void>;
}
