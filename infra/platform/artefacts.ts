import type { Artefact } from '../model.ts';

export interface Artefacts {
  /** Stores a finished build. The same content gives the same digest, and is stored once. */
  publish(directory: string, version: string): Promise<Artefact>;
  find(digest: string): Promise<Artefact | undefined>;
}
