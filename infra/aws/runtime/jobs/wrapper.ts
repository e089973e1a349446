import { gunzipSync } from 'node:zlib';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { isMissing } from '../client/errors.ts';
import type { Setting } from '../client/setting.ts';
import { mayPass } from '../client/waiting.ts';

/**
 * The shell script around a job's command in its container, and the parser of its log. A container can return data only
 * through its log, so the script writes the results there, compressed, on lines that begin with a random marker.
 */

/** Variable with the PEM text of an authority that the job's programs must trust. */
export const authorityVariable = 'GREENLIGHT_JOB_AUTHORITY';

/** Characters per line, far below the 16 KiB at which Docker splits lines. */
const lineLength = 4000;

/**
 * Arguments: marker, writable directory, path of the results (may be empty), then the command. Passes SIGTERM and
 * SIGINT on to the command as SIGTERM and waits for its end, because it may write results then. POSIX sh with gzip,
 * base64, fold and sed, which any Linux image has.
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
  /** Directory in the container that the script creates, for all that the job writes. */
  directory: string;
  /** Path in the container. Absent if the job writes no results. */
  results?: string;
  command: string[];
  /** The job sets HOME itself. */
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
  /** Lines that the command wrote. */
  lines: string[];
  /** The results file, if one was written and arrived completely. */
  results: Buffer | undefined;
  /** The command's exit code according to the script. Undefined if its last line is missing. */
  exitCode: number | undefined;
  /** Why the command was not started. */
  refused: 'missing' | 'cannot write' | undefined;
}

/**
 * Separates the lines of the command from those of the script. A line of the script may follow on the same line as
 * output of the command without a line end.
 */
export function parseOutput(log: string[], marker: string): JobOutput {
  const output: JobOutput = { lines: [], results: undefined, exitCode: undefined, refused: undefined };
  let packed = '';
  let last = '';
  for (const line of log) {
    const at = line.indexOf(`${marker} `);
    const own = at < 0 ? line : line.slice(0, at);
    const said = at < 0 ? undefined : line.slice(at + marker.length + 1).trimEnd();
    // An empty line after data is the script's.
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
  /** How long to wait for the rest of the log, ms: lines arrive later than the end of their task. */
  waitMs: number;
  /** Whether the log is complete. */
  complete: (lines: string[]) => boolean;
}

/** Reads a task's log stream until it is complete, or until `waitMs` is over. Resolves to the lines so far. */
export async function readLog(
  { clients, foundation }: Pick<Setting, 'clients' | 'foundation'>,
  stream: string,
  { pollMs, waitMs, complete }: LogWait,
): Promise<string[]> {
  const lines: string[] = [];
  let token: string | undefined;
  /** Reads pages until the next token equals the given one, which marks the current end of the stream. */
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
