import { gunzipSync } from 'node:zlib';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { isMissing } from '../client/errors.ts';
import type { Setting } from '../client/setting.ts';
import { mayPass } from '../client/waiting.ts';

/**
 * What runs around a job's command in its container, in the shell of the image, and how its log is read. A container's only way
 * out is its log: results are written there, packed, on lines that begin with a marker that nobody can guess.
 */

/** Variable with the PEM text of an authority that the job's programs have to trust. */
export const authorityVariable = 'GREENLIGHT_JOB_AUTHORITY';

/** Far below the 16 KiB at which Docker cuts a line. */
const lineLength = 4000;

/**
 * Arguments: marker, directory to write to, path of the results (or nothing), then the command. The command's signal is passed on,
 * and its end is waited for, as the results may be written then. POSIX, with gzip, base64, fold and sed of any Linux image.
 */
const script = (keepHome: boolean): string => `marker=$1 directory=$2 results=$3
shift 3
mkdir -p "$directory" || { echo "$marker cannot write"; exit 70; }
chmod 700 "$directory"
export TMPDIR="$directory"
${keepHome ? '' : 'export HOME="$directory"\n'}if [ -n "$${authorityVariable}" ]; then
  printf '%s\\n' "$${authorityVariable}" > "$directory/authority.pem"
  unset ${authorityVariable}
  export NODE_EXTRA_CA_CERTS="$directory/authority.pem"
fi
command -v "$1" > /dev/null 2>&1 || { echo "$marker missing"; exit 127; }
"$@" &
child=$!
trap 'kill -TERM "$child" 2> /dev/null' TERM INT
wait "$child"
code=$?
while kill -0 "$child" 2> /dev/null; do
  wait "$child"
  code=$?
done
if [ -n "$results" ] && [ -f "$results" ]; then
  gzip -c "$results" | base64 | tr -d '\\n' | fold -w ${lineLength} | sed "s/^/$marker data /"
  echo
fi
echo "$marker end $code"
rm -rf "$directory"
exit "$code"
`;

export interface Wrapped {
  marker: string;
  /** Writable in the container; made there. */
  directory: string;
  /** Path in the container; absent where the job writes none. */
  results?: string;
  command: string[];
  /** The job brings its own HOME. */
  keepHome: boolean;
}

/** The container's command. */
export const wrappedCommand = ({ marker, directory, results, command, keepHome }: Wrapped): string[] => [
  'sh',
  '-c',
  script(keepHome),
  'job',
  marker,
  directory,
  results ?? '',
  ...command,
];

export interface JobOutput {
  /** What the command itself wrote. */
  lines: string[];
  /** The results file, where one was written and all of it arrived. */
  results: Buffer | undefined;
  /** Exit code, as the wrapper saw it; undefined where its last line is not there. */
  exitCode: number | undefined;
  /** Why the command was not started. */
  refused: 'missing' | 'cannot write' | undefined;
}

/** Takes the log apart. Lines of the wrapper may follow, on the same line, what the command wrote without an end of line. */
export function parseOutput(log: string[], marker: string): JobOutput {
  const output: JobOutput = { lines: [], results: undefined, exitCode: undefined, refused: undefined };
  let packed = '';
  let last = '';
  for (const line of log) {
    const at = line.indexOf(`${marker} `);
    const own = at < 0 ? line : line.slice(0, at);
    const said = at < 0 ? undefined : line.slice(at + marker.length + 1).trimEnd();
    // An empty line after data is the wrapper's.
    if (own !== '' || (said === undefined && last !== 'data')) output.lines.push(own);
    last = said?.split(' ')[0] ?? '';
    if (said === undefined) continue;
    if (last === 'data') packed += said.slice('data '.length);
    else if (last === 'end') output.exitCode = Number(said.slice('end '.length));
    else if (said === 'missing' || said === 'cannot write') output.refused = said;
  }
  if (packed !== '' && output.exitCode !== undefined) output.results = unpacked(packed);
  return output;
}

/** Undefined if a part of the file is missing. */
function unpacked(packed: string): Buffer | undefined {
  try {
    return gunzipSync(Buffer.from(packed, 'base64'));
  } catch {
    return undefined;
  }
}

export interface LogWait {
  pollMs: number;
  /** How long the rest of the log is waited for, ms: lines come later than the end of their task. */
  waitMs: number;
  /** Whether the log is complete. */
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
          nextToken: token,
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
      // The stream does not exist before its first line.
      if (!isMissing(error) && !mayPass(error)) throw error;
    }
    if (complete(lines) || Date.now() >= deadline) break;
    await sleep(pollMs);
  }
  // Standard output and standard error arrive separately: the last lines of one may come after the other's.
  await sleep(pollMs);
  await more().catch(() => undefined);
  return lines;
}
