import { createReadStream, existsSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { projectRoot } from '../../infra/paths.ts';
import type { EntryPoint } from '../../infra/platform.ts';
import { toolPath } from '../../infra/tools.ts';
import { checkLedger } from '../data/ledger.ts';
import { writesGate } from '../gates/writes.ts';
import { k6Command } from '../gates/k6.ts';
import type { ReleaseContext } from './context.ts';
import type { WriteLedger } from './events.ts';
import { startRecorder } from './recorder.ts';

/** The longest that marked traffic goes on if nobody ends it: a release that takes longer starts it again. */
const maxSeconds = 3_600;
/** Failed requests that are named in the journal; all are counted. */
const namedFailures = 10;

interface Seen {
  requests: { total: number; failed: number };
  perSecond: number;
  failures: string[];
  /** Keys of writes that the application acknowledged, and of those whose end nobody knows. */
  acknowledged: string[];
  unknown: string[];
}

export interface SyntheticTraffic {
  /** Ends the traffic and resolves to what it saw. May be called again. */
  stop(): Promise<Seen>;
}

/**
 * Starts marked traffic through the real entry point, and the record of what the balancer sees; does nothing if it
 * runs already. It gives a release on a machine without users something to keep whole, and a ledger of every
 * acknowledged write. With a rate of 0 real users give the traffic, and only the record is kept.
 */
export async function keepTrafficUp(context: ReleaseContext): Promise<void> {
  if (context.synthetic !== undefined) return;
  const environment = await context.connect();
  const recorder = startRecorder(environment, context.journal);
  const { script, requestsPerSecond } = context.definition.synthetic;
  const traffic =
    requestsPerSecond === 0
      ? undefined
      : startJourney(
          resolve(projectRoot, script),
          requestsPerSecond,
          environment.router.entry,
          freshDirectory(context),
        );
  let seen: Promise<Seen> | undefined;
  context.synthetic = {
    stop() {
      seen ??= Promise.all([traffic?.stop() ?? nothing, recorder.stop()]).then(([result]) => result);
      return seen;
    },
  };
}

/**
 * Ends the marked traffic and looks for every write of its ledger in the database that is live now: an acknowledged
 * write must be there exactly once. The gate fails if one is missing or double, or if any request failed.
 */
export async function endSynthetic(context: ReleaseContext): Promise<void> {
  const { synthetic, definition, journal } = context;
  if (synthetic === undefined) return;
  const { acknowledged, unknown, ...seen } = await synthetic.stop();
  context.synthetic = undefined;
  if (definition.synthetic.requestsPerSecond === 0) return;
  const writes = await settleLedger(context, acknowledged, unknown);
  journal.append({ type: 'synthetic.ended', ...seen, writes });
  await context.gates([writesGate({ requests: seen.requests, writes, failures: seen.failures })]);
}

async function settleLedger(context: ReleaseContext, acknowledged: string[], unknown: string[]): Promise<WriteLedger> {
  const { ledger } = context.definition.data;
  const { router, databases } = await context.connect();
  const { split } = await router.read();
  const base = { acknowledged: acknowledged.length, unknown: unknown.length };
  if (ledger === undefined || split === undefined) return { ...base, lost: 0, duplicated: 0 };
  const access = await databases.of(split.live);
  const known = await checkLedger(access, ledger.sql, acknowledged);
  const open = await checkLedger(access, ledger.sql, unknown);
  return { ...base, lost: known.lost.length, duplicated: known.duplicated.length + open.duplicated.length };
}

function startJourney(script: string, rate: number, entry: EntryPoint, directory: string): SyntheticTraffic {
  const summaryFile = join(directory, 'summary.json');
  const consoleFile = join(directory, 'ledger.jsonl');
  const { argv, env } = k6Command({
    script,
    baseUrl: entry.baseUrl,
    caFile: entry.caFile,
    rate,
    durationSeconds: maxSeconds,
    routeHeaders: {},
    summaryFile,
    consoleFile,
  });
  const child = execa(toolPath('k6'), argv.slice(1), { env, reject: false, stdin: 'ignore', all: true });
  const started = Date.now();
  return {
    async stop() {
      child.kill('SIGINT');
      const { all } = await child;
      return readSeen(summaryFile, consoleFile, (Date.now() - started) / 1000, String(all));
    },
  };
}

/** Each run of the traffic keeps its own files: a resumed release does not write over what an interrupted one saw. */
function freshDirectory(context: ReleaseContext): string {
  for (let run = 1; ; run += 1) {
    const directory = join(context.directory, 'evidence', `synthetic-${run}`);
    if (existsSync(directory)) continue;
    mkdirSync(directory, { recursive: true });
    return directory;
  }
}

const nothing: Seen = { requests: { total: 0, failed: 0 }, perSecond: 0, failures: [], acknowledged: [], unknown: [] };

async function readSeen(summaryFile: string, ledgerFile: string, seconds: number, output: string): Promise<Seen> {
  const seen: Seen = { requests: { total: 0, failed: 0 }, perSecond: 0, failures: [], acknowledged: [], unknown: [] };
  for await (const line of createInterface({ input: createReadStream(ledgerFile) })) readLine(line, seen);
  try {
    const { greenlight } = JSON.parse(await readFile(summaryFile, 'utf8')) as Summary;
    seen.requests = { total: greenlight.requests, failed: greenlight.failed };
  } catch {
    // Killed before its summary: no requests counted makes the gate inconclusive.
    seen.failures.push(`k6 left no summary: ${output.trim().split('\n').slice(-3).join(' | ')}`);
  }
  seen.perSecond = seen.requests.total / Math.max(1, seconds);
  return seen;
}

interface Summary {
  greenlight: { requests: number; failed: number };
}

function readLine(line: string, seen: Seen): void {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return; // Something else that the script logged, or a line cut off.
  }
  if (entry['ledger'] === 'ack') seen.acknowledged.push(String(entry['key']));
  else if (entry['ledger'] === 'unknown') seen.unknown.push(String(entry['key']));
  else if (entry['request'] === 'failed' && seen.failures.length < namedFailures) {
    seen.failures.push(
      `${new Date(Number(entry['at'])).toISOString()} ${String(entry['method'])} ${String(entry['url'])}: ${String(entry['status'])}`,
    );
  }
}
