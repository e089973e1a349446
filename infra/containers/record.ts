import { readFileSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OperationError } from '../lib/errors.ts';
import { artefactsDirectory } from '../lib/paths.ts';
import type { Artefact, EngineName } from '../model.ts';
import { findEngine, type Engine } from './engine.ts';

/**
 * `images.json` of an artefact: the images of a version, by what they contain. It is part of the artefact, so the same
 * images run whenever that version is started again.
 */
export interface ImagesRecord {
  engine: EngineName;
  /** OCI runtime. Absent: the engine's default works. */
  runtime?: string;
  /** The service in whose image jobs run. Absent: they run in the artefact's directory. */
  jobs?: string;
  services: Record<string, ImageRecord>;
}

export interface ImageRecord {
  /** `sha256:<hex>`: the image on this machine. */
  id: string;
  /** As the definition names it. Absent: it was built. */
  reference?: string;
  /** `<repository>@sha256:<hex>`: where it can be fetched from. Absent: from nowhere. */
  source?: string;
  readOnly: boolean;
}

const file = 'images.json';

/** Undefined for an artefact without images. Throws an OperationError if the file is damaged. */
export function readImages(artefact: string): ImagesRecord | undefined {
  let text: string;
  try {
    text = readFileSync(join(artefact, file), 'utf8');
  } catch {
    return undefined;
  }
  // A build may have a file of this name of its own.
  const parsed = parse(text, artefact);
  return isRecord(parsed) ? parsed : undefined;
}

function parse(text: string, artefact: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OperationError(`reading ${join(artefact, file)}`, 'it is damaged', 'build this version again', { cause });
  }
}

const isRecord = (value: unknown): value is ImagesRecord =>
  typeof value === 'object' && value !== null && 'engine' in value && 'services' in value;

export const writeImages = (artefact: string, record: ImagesRecord): Promise<void> =>
  writeFile(join(artefact, file), `${JSON.stringify(record, undefined, 2)}\n`);

/** The images of a version, with the engine that has them. */
export interface VersionImages {
  engine: Engine;
  record: ImagesRecord;
}

/** Undefined for a version without images. Rejects with an OperationError if its engine does not answer. */
export async function imagesOf(artefact: Pick<Artefact, 'location'>): Promise<VersionImages | undefined> {
  const record = readImages(artefact.location);
  return record === undefined ? undefined : { record, engine: await findEngine(record.engine) };
}

/** All records of this project's artefacts. */
export async function allRecords(): Promise<ImagesRecord[]> {
  const directory = artefactsDirectory();
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries.flatMap((entry) => {
    try {
      const record = entry.isDirectory() ? readImages(join(directory, entry.name)) : undefined;
      return record === undefined ? [] : [record];
    } catch {
      return [];
    }
  });
}
