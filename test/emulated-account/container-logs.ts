import {
  CreateLogGroupCommand,
  CreateLogStreamCommand,
  PutLogEventsCommand,
  type CloudWatchLogsClient,
  type InputLogEvent,
} from '@aws-sdk/client-cloudwatch-logs';

/** How often lines are sent, ms. */
const everyMs = 200;
/** Limits of one call: 10,000 events and 1 MiB, with 26 bytes added per event (PutLogEvents in the API reference). */
const mostEvents = 10_000;
const mostBytes = 1_048_576;
const perEvent = 26;
/** Longer lines are split into several events, as by Docker's driver `awslogs`. */
const longestEvent = 262_118;

/** A container's log stream, filled as by the log driver `awslogs`. */
export class LogStream {
  readonly #client: CloudWatchLogsClient;
  readonly #place: { logGroupName: string; logStreamName: string };
  readonly #waiting: InputLogEvent[] = [];
  #sending: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  /** Errors of writing; the program goes on. */
  readonly errors: unknown[] = [];

  constructor(client: CloudWatchLogsClient, group: string, stream: string) {
    this.#client = client;
    this.#place = { logGroupName: group, logStreamName: stream };
  }

  /** Rejects if the group is missing, unless `createGroup` is set. */
  async open(createGroup: boolean): Promise<void> {
    const { logGroupName } = this.#place;
    if (createGroup) {
      await this.#client.send(new CreateLogGroupCommand({ logGroupName })).catch((error: Error) => {
        if (error.name !== 'ResourceAlreadyExistsException') throw error;
      });
    }
    await this.#client.send(new CreateLogStreamCommand(this.#place));
  }

  /** Adds a line, without its line end. Empty lines are left out, because an event needs text. */
  write(line: string): void {
    let rest = Buffer.from(line);
    while (rest.length > 0) {
      this.#waiting.push({ timestamp: Date.now(), message: rest.subarray(0, longestEvent).toString() });
      rest = rest.subarray(longestEvent);
    }
    this.#timer ??= setTimeout(() => this.#send(), everyMs);
  }

  /** Resolves when all lines were written, or failed to be written. */
  async close(): Promise<void> {
    this.#send();
    await this.#sending;
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const logEvents = this.#waiting.splice(0);
    if (logEvents.length === 0) return;
    this.#sending = this.#sending
      .then(async () => {
        for (const batch of batches(logEvents))
          await this.#client.send(new PutLogEventsCommand({ ...this.#place, logEvents: batch }));
      })
      .catch((error: unknown) => void this.errors.push(error));
  }
}

function batches(events: InputLogEvent[]): InputLogEvent[][] {
  const result: InputLogEvent[][] = [[]];
  let bytes = 0;
  for (const event of events) {
    const size = Buffer.byteLength(event.message ?? '') + perEvent;
    if ((result.at(-1)?.length ?? 0) >= mostEvents || bytes + size > mostBytes) {
      result.push([]);
      bytes = 0;
    }
    result.at(-1)?.push(event);
    bytes += size;
  }
  return result;
}
