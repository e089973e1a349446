import type { Artefact } from '../model.ts';

export interface Artefacts {
  /** Stores a finished build. Equal content has an equal digest and is stored once. */
  publish(directory: string, version: string): Promise<Artefact>;
  find(digest: string): Promise<Artefact | undefined>;
}
