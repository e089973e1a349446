import { createWriteStream, type WriteStream } from 'node:fs';
import { once } from 'node:events';
import { StringDecoder } from 'node:string_decoder';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { stripVTControlCharacters } from 'node:util';

/** Size limit of a log file, bytes. Output beyond it is dropped, except the last lines. */
const maxBytes = 10 * 1024 * 1024;
/** Longer lines are cut to this many characters. A secret that the cut would split is redacted first. */
const maxLine = 32 * 1024;
const tailLines = 20;

/** Log file of a job: redacted line by line before it is written, and limited in size. */
export class JobLog {
  readonly #file: WriteStream;
  readonly #redact: (text: string) => string;
  readonly #last: string[] = [];
  /** One function per stream, which writes its incomplete last line. */
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

  /** Logs everything that `stream` emits. */
  follow(stream: Readable): void {
    const decoder = new StringDecoder('utf8');
    let pending = '';
    stream.on('data', (chunk: Buffer) => {
      const lines = (pending + decoder.write(chunk)).split('\n');
      // Limits memory. Twice the line limit is enough to redact secrets in the part that is kept.
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

  /** The last lines, without terminal escape sequences. */
  tail(): string {
    for (const flush of this.#flushes.splice(0)) flush();
    return stripVTControlCharacters(this.#last.join('\n'));
  }

  /** Rejects if the log could not be written. */
  async close(): Promise<void> {
    const tail = this.tail();
    if (this.#leftOut > 0) this.#file.write(`... ${this.#leftOut} bytes left out; the last lines:\n${tail}\n`);
    this.#file.end();
    await finished(this.#file).catch((error: Error) => (this.#failure = error));
    if (this.#failure !== undefined) throw this.#failure;
  }
}
