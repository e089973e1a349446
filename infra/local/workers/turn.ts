import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../../lib/atomic-file.ts';
import { OperationError } from '../../lib/errors.ts';
import { colours, type Colour } from '../../model.ts';

/**
 * `workers.json`: whose workers may run. It is replaced as a whole, as the traffic map is. A guard runs its command only while the file
 * names its colour.
 */
export interface Turn {
  /** Names this content. A guard that repeats it has acted on it. */
  change: string;
  /** Undefined: no worker may run. */
  runs: Colour | undefined;
}

/** Nobody may run where the file is missing or damaged. */
const nobody: Turn = { change: 'none', runs: undefined };

export async function readTurn(file: string): Promise<Turn> {
  try {
    const { change, runs } = JSON.parse(await readFile(file, 'utf8')) as { change?: unknown; runs?: unknown };
    return typeof change === 'string' ? { change, runs: colours.find((colour) => colour === runs) } : nobody;
  } catch {
    return nobody;
  }
}

/** Writes who may run. Resolves to what it wrote, once that is on disk. */
export async function giveTurn(file: string, runs: Colour | undefined): Promise<Turn> {
  const turn: Turn = { change: randomUUID(), runs };
  await replaceFile(file, `${JSON.stringify({ change: turn.change, runs: runs ?? null })}\n`).catch((error: Error) => {
    throw new OperationError('saying whose workers may run', error.message, `make ${file} writable`, { cause: error });
  });
  return turn;
}
