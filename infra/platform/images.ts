import type { Artefact, ServiceSpec } from '../model.ts';

export interface ImagesRequest {
  application: string;
  version: string;
  services: Pick<ServiceSpec, 'name' | 'image'>[];
  /** Where they are pushed to as well. */
  registry?: string | undefined;
  /** The service in whose image jobs run. Absent: in the artefact's directory. */
  jobs?: string | undefined;
  /** Directory that paths of images are relative to. */
  root: string;
  /** Directory that becomes the artefact. The images are recorded in it. */
  out: string;
  /** Directory that gets the logs of the builds. */
  logs: string;
  timeoutMs: number;
  signal: AbortSignal;
}

/** Images of services that are not in the artefact itself. Every method rejects with an `OperationError`. */
export interface Images {
  /** Builds or fetches the images of a version. Resolves to what a person should know, a sentence each. */
  make(request: ImagesRequest): Promise<string[]>;
  /** Names of images that mean something else now than when the version was built, a sentence each. */
  moved(artefact: Artefact): Promise<string[]>;
  /** Removes all images that were kept for the application. Resolves to their names. */
  removeAll(application: string): Promise<string[]>;
}
