import { setTimeout as sleep } from 'node:timers/promises';
import { GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { isMissing } from './errors.ts';
import type { Setting } from './scratch.ts';
import { mayPass } from './waiting.ts';

export interface LogWait {
  pollMs: number;
  /** How long the rest of the log is waited for, ms: lines come later than the end of their task. */
  waitMs: number;
  /** Whether all is there. */
  complete: (lines: string[]) => boolean;
}

/** All lines of a task's log stream so far; waits until they are complete, or time is over. */
export async function readLog(
  { clients, foundation }: Pick<Setting, 'clients' | 'foundation'>,
  stream: string,
  { pollMs, waitMs, complete }: LogWait,
): Promise<string[]> {
  const lines: string[] = [];
  let token: string | undefined;
  /** Pages until the token is the one that was given: that is the end so far. */
  const more = async () => {
    for (;;) {
      const { events = [], nextForwardToken } = await clients.logs.send(
        new GetLogEventsCommand({
          logGroupName: foundation.jobs.logGroup,
          logStreamName: stream,
          startFromHead: true,
          ...(token === undefined ? {} : { nextToken: token }),
        }),
      );
      for (const { message = '' } of events) lines.push(...message.split('\n'));
      const last = nextForwardToken === undefined || nextForwardToken === token;
      token = nextForwardToken;
      if (last) return;
    }
  };
  const deadline = Date.now() + waitMs;
  for (;;) {
    try {
      await more();
    } catch (error) {
      // The stream is made with its first line.
      if (!isMissing(error) && !mayPass(error)) throw error;
    }
    if (complete(lines) || Date.now() >= deadline) break;
    await sleep(pollMs);
  }
  // What was written to the other stream at the end may come last.
  await sleep(pollMs);
  await more().catch(() => undefined);
  return lines;
}
