import { createHash } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import type { Event, JournalEntry } from './events.ts';
import { secrets, type Redactor } from '../../infra/lib/redact.ts';

/**
 * The journal of a release: one JSON object per line, numbered, dated, chained by the hash of the line before it.
 * It is on disk before `append` returns, so an intent is always older than the action that it announces. Own code: loggers
 * write later, and chain nothing.
 */

export const journalFile = 'journal.jsonl';
const firstPrev = '0'.repeat(64);

export interface Journal {
  readonly file: string;
  /** Writes and flushes one entry. Throws an OperationError where the disk does not take it; then nothing was added. */
  append(event: Event): JournalEntry;
  entries(): readonly JournalEntry[];
  /** Calls `listener` after each append, in order. One that throws is dropped, and a note says so. Returns the way out. */
  subscribe(listener: (entry: JournalEntry) => void): () => void;
  close(): void;
}

export interface JournalOptions {
  onEntry?: (entry: JournalEntry) => void;
  /** Masks what is written; the program's own by default. */
  redactor?: Redactor;
}

/**
 * Opens or creates the journal in `directory`. A last line that a crash cut off is removed, and a note says so.
 * Throws an OperationError if lines were changed, lost or added: then the journal is no base to go on from.
 */
export function openJournal(directory: string, options: JournalOptions = {}): Journal {
  const file = join(directory, journalFile);
  const redactor = options.redactor ?? secrets;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const fd = openSync(file, 'a+', 0o600);
  syncDirectory(directory);
  const before = parse(readFileSync(fd));
  if (before.damage?.kind === 'altered') {
    closeSync(fd);
    throw new OperationError(
      `opening the journal ${file}`,
      `line ${before.damage.line}: ${before.damage.found}`,
      `keep the file as evidence; look at what is live (${greenlight('status')}), then start a new release`,
    );
  }

  const entries = before.entries;
  const listeners = new Set<(entry: JournalEntry) => void>(options.onEntry ? [options.onEntry] : []);
  const undelivered: JournalEntry[] = [];
  let size = before.goodBytes;
  let prev = before.lastHash;
  let delivering = false;
  let broken = false;

  const append = (event: Event): JournalEntry => {
    const head = { seq: entries.length + 1, at: new Date().toISOString(), prev };
    // Back from its own JSON: what subscribers get is exactly what a later reader gets.
    const line = JSON.stringify({ ...head, ...redactor.redactDeep(event) });
    const bytes = Buffer.from(`${line}\n`);
    try {
      if (broken) throw new Error('an earlier entry could not be written');
      for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
      fsyncSync(fd);
    } catch (cause) {
      try {
        dropTail(fd, size);
      } catch {
        // Half a line may stay: removed when the journal is opened again, as long as nothing is written behind it.
        broken = true;
      }
      throw new OperationError(
        `writing the journal ${file}`,
        cause instanceof Error ? cause.message : String(cause),
        'free disk space or repair the disk, then resume the release: nothing was started that the journal does not have',
        { cause },
      );
    }
    size += bytes.length;
    prev = sha256(line);
    const entry = JSON.parse(line) as JournalEntry;
    entries.push(entry);
    undelivered.push(entry);
    deliver();
    return entry;
  };

  // A listener may append: its entries wait here, so that all listeners see all entries in the same order.
  const deliver = (): void => {
    if (delivering) return;
    delivering = true;
    const failed: string[] = [];
    for (let entry = undelivered.shift(); entry; entry = undelivered.shift()) {
      for (const listener of listeners) {
        try {
          listener(entry);
        } catch (error) {
          listeners.delete(listener);
          failed.push(error instanceof Error ? error.message : String(error));
        }
      }
    }
    delivering = false;
    for (const message of failed) {
      append({
        type: 'note',
        level: 'warning',
        text: `a listener to the journal failed and gets no more entries: ${message}`,
      });
    }
  };

  if (before.damage) {
    dropTail(fd, size);
    append({
      type: 'note',
      level: 'warning',
      text: `line ${before.damage.line} of the journal was removed: ${before.damage.found}`,
    });
  }

  return {
    file,
    append,
    entries: () => entries,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => closeSync(fd),
  };
}

export interface JournalDamage {
  /** `cut-off`: the program or the machine died while it wrote the last line. `altered`: anything else. */
  kind: 'cut-off' | 'altered';
  /** From 1. */
  line: number;
  found: string;
}

export interface ReadJournal {
  /** All entries before the damage. */
  entries: JournalEntry[];
  damage?: JournalDamage;
}

/** Reads a journal without changing it, also while a release writes it. Rejects only if the file cannot be read. */
export function readJournal(file: string): ReadJournal {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (cause) {
    throw new OperationError(
      `reading the journal ${file}`,
      cause instanceof Error ? cause.message : String(cause),
      `give the directory of a release: it holds ${journalFile}`,
      { cause },
    );
  }
  const { entries, damage } = parse(content);
  return { entries, ...(damage && { damage }) };
}

interface Parsed extends ReadJournal {
  goodBytes: number;
  lastHash: string;
}

function parse(content: Buffer): Parsed {
  const entries: JournalEntry[] = [];
  let lastHash = firstPrev;
  let start = 0;
  const stop = (damage?: JournalDamage): Parsed => ({ entries, goodBytes: start, lastHash, ...(damage && { damage }) });

  while (start < content.length) {
    const line = entries.length + 1;
    const end = content.indexOf(0x0a, start);
    // `append` returns after the newline is on disk: without one, nothing relied on this line.
    if (end < 0)
      return stop({ kind: 'cut-off', line, found: `it ends after ${content.length - start} bytes, without a newline` });
    const text = content.toString('utf8', start, end);
    const entry = toEntry(text);
    if (!entry) return stop({ kind: 'altered', line, found: 'it is not a journal entry' });
    if (entry.seq !== line)
      return stop({ kind: 'altered', line, found: `its number is ${entry.seq}: lines were lost or added` });
    if (entry.prev !== lastHash) {
      entries.pop();
      return stop({
        kind: 'altered',
        line: Math.max(1, line - 1),
        found: 'its hash is not the one that the next line recorded: it was changed',
      });
    }
    entries.push(entry);
    lastHash = sha256(text);
    start = end + 1;
  }
  return stop();
}

function toEntry(text: string): JournalEntry | undefined {
  try {
    const value = JSON.parse(text) as Partial<JournalEntry> | null;
    const fits =
      typeof value?.seq === 'number' &&
      typeof value.at === 'string' &&
      typeof value.prev === 'string' &&
      typeof value.type === 'string';
    return fits ? (value as JournalEntry) : undefined;
  } catch {
    return undefined;
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function dropTail(fd: number, size: number): void {
  if (fstatSync(fd).size === size) return;
  ftruncateSync(fd, size);
  fsyncSync(fd);
}

/** A new file survives a crash of the machine only once its directory is flushed too. */
function syncDirectory(directory: string): void {
  for (const path of [directory, dirname(directory)]) {
    const fd = openSync(path, 'r');
    fsyncSync(fd);
    closeSync(fd);
  }
}
