import { createWriteStream, type WriteStream } from 'node:fs';
import { once } from 'node:events';
import { StringDecoder } from 'node:string_decoder';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { stripVTControlCharacters } from 'node:util';

/** Most that a log file holds; what comes later is left out, but for the last lines. */
const maxBytes = 10 * 1024 * 1024;
/** Longest line that is kept whole; a secret that begins within it is redacted even where the line is cut. */
const maxLine = 32 * 1024;
const tailLines = 20;

/** The output of a job, redacted line by line before it reaches the disk, and bounded. */
export class JobLog {
  readonly #file: WriteStream;
  readonly #redact: (text: string) => string;
  readonly #last: string[] = [];
  /** What each stream has written of a line that is not complete. */
  readonly #flushes: (() => void)[] = [];
  #failure: Error | undefined;
  #written = 0;
  #leftOut = 0;

  static async open(path: string, redact: (text: string) => string): Promise<JobLog> {
    const file = createWriteStream(path, { mode: 0o600 });
    await once(file, 'open');
    return new JobLog(file, redact);
  }

  private constructor(file: WriteStream, redact: (text: string) => string) {
    this.#file = file;
    this.#redact = redact;
    file.on('error', (error) => (this.#failure = error));
  }

  /** Writes down what comes from `stream`, line by line. */
  follow(stream: Readable): void {
    const decoder = new StringDecoder('utf8');
    let pending = '';
    stream.on('data', (chunk: Buffer) => {
      const lines = (pending + decoder.write(chunk)).split('\n');
      // A line without end must not fill the memory: twice its limit is enough to redact what is kept of it.
      pending = (lines.pop() ?? '').slice(0, 2 * maxLine);
      for (const line of lines) this.note(line);
    });
    stream.on('error', () => undefined);
    this.#flushes.push(() => {
      pending += decoder.end();
      if (pending !== '') this.note(pending);
      pending = '';
    });
  }

  /** One line. */
  note(raw: string): void {
    const line = this.#redact(raw.slice(0, 2 * maxLine).replace(/\r$/, '')).slice(0, maxLine);
    this.#last.push(line);
    if (this.#last.length > tailLines) this.#last.shift();
    const bytes = Buffer.byteLength(line) + 1;
    if (this.#written + bytes > maxBytes) {
      this.#leftOut += bytes;
      return;
    }
    this.#written += bytes;
    this.#file.write(`${line}\n`);
  }

  /** The last lines, without colours. */
  tail(): string {
    for (const flush of this.#flushes.splice(0)) flush();
    return stripVTControlCharacters(this.#last.join('\n'));
  }

  /** Rejects where the log could not be written. */
  async close(): Promise<void> {
    const tail = this.tail();
    if (this.#leftOut > 0) this.#file.write(`... ${this.#leftOut} bytes left out; the last lines:\n${tail}\n`);
    this.#file.end();
    await finished(this.#file).catch((error: Error) => (this.#failure = error));
    if (this.#failure !== undefined) throw this.#failure;
  }
}
