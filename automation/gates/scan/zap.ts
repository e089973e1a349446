import ZapClient from 'zaproxy';
import { greenlight } from '../../../infra/lib/command.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { poll } from '../../../infra/lib/poll.ts';
import type { Finding, Scanner, ScanReport, ScanTarget, Severity } from './scanner.ts';
import { startZap, type ZapDaemon } from './zap-daemon.ts';

/** Starts OWASP ZAP as a daemon; `close` stops it. */
export async function zap(program?: string): Promise<Scanner> {
  return zapAt(await startZap(program));
}

const pollMs = 500;

/** A scanner in a running ZAP daemon. */
export function zapAt(daemon: ZapDaemon): Scanner {
  const { host, port, apiKey } = daemon;
  const client = new ZapClient({ apiKey, proxy: { protocol: 'http', host, port } });
  return {
    name: 'ZAP',
    version: () => asking('version', async () => (await client.core.version()).version),
    async rules() {
      const active = await asking('active rules', async () => enabled(await client.ascan.scanners({})));
      // Passive rules only inspect traffic and attack nothing, so they alone do not count as a scan.
      return active.length === 0 ? [] : [...active, ...(await passiveRules(client))];
    },
    scan: (target) => asking('scan', () => scan(client, target)),
    close: () => daemon.stop(() => client.core.shutdown()),
  };
}

const enabled = ({ scanners }: { scanners: { name: string; enabled: string }[] }): string[] =>
  scanners.filter((rule) => rule.enabled === 'true').map(({ name }) => name);

/** The passive scanner is an add-on. Without it the daemon answers `no_implementor`. */
async function passiveRules(client: ZapClient): Promise<string[]> {
  try {
    return enabled(await client.pscan.scanners());
  } catch (error) {
    if (JSON.stringify((error as { response?: unknown }).response ?? '').includes('no_implementor')) return [];
    throw error;
  }
}

async function scan(client: ZapClient, target: ScanTarget): Promise<ScanReport> {
  const { origin, startPaths, maxSeconds, evidence, signal } = target;
  const end = performance.now() + maxSeconds * 1000;
  for (const path of startPaths) await client.core.accessUrl({ url: origin + path, followredirects: true });

  const cut: string[] = [];
  const { scan: crawl } = await client.spider.scan({ url: `${origin}/`, recurse: true });
  // A quarter of the time for the crawl; the attack may use the rest.
  const crawlEnd = performance.now() + maxSeconds * 250;
  if (!(await complete(() => client.spider.status({ scanid: crawl }), crawlEnd, signal))) {
    cut.push('crawl');
    await client.spider.stop({ scanid: crawl });
  }

  const { scan: attack } = await client.ascan.scan({ url: `${origin}/`, recurse: true, inscopeonly: false });
  if (!(await complete(() => client.ascan.status({ scanid: attack }), end, signal))) {
    cut.push('attack');
    await client.ascan.stop({ scanid: attack });
  }
  const { scanProgress } = await client.ascan.scanProgress({ scanid: attack });
  const passive = await passiveRules(client);
  if (passive.length > 0 && !(await passiveDone(client, signal))) cut.push('passive scan');

  const { alerts } = await client.core.alerts({ baseurl: origin });
  await evidence.write('zap.json', JSON.stringify({ alerts, scanProgress }, undefined, 2));
  return { findings: alerts.map(readAlert), ran: [...launched(scanProgress), ...passive], cut };
}

/** Waits until a scan has reached 100 percent. False if `end` (`performance.now()` time, ms) comes first. */
async function complete(status: () => Promise<{ status: string }>, end: number, signal: AbortSignal): Promise<boolean> {
  const look = async () => Number((await status()).status) >= 100 || undefined;
  return (await poll(look, { everyMs: pollMs, timeoutMs: end - performance.now(), signal })) ?? false;
}

/** Longest wait for the passive rules to process the traffic of the attack, seconds. */
const passiveSeconds = 20;

async function passiveDone(client: ZapClient, signal: AbortSignal): Promise<boolean> {
  const look = async () => Number((await client.pscan.recordsToScan()).recordsToScan) === 0 || undefined;
  return (await poll(look, { everyMs: pollMs, timeoutMs: passiveSeconds * 1000, signal })) ?? false;
}

/** Names of the rules that were started: all whose status is not `Pending`. */
export function launched(progress: (string | { HostProcess: { Plugin: string[] }[] })[]): string[] {
  return progress.flatMap((part) =>
    typeof part === 'string'
      ? []
      : part.HostProcess.map(({ Plugin }) => Plugin).flatMap(([name, , , status]) =>
          name !== undefined && status !== 'Pending' ? [name] : [],
        ),
  );
}

const severityOf: Record<string, Severity> = { Informational: 'info', Low: 'low', Medium: 'medium', High: 'high' };

/** Converts an alert of ZAP into a finding. */
export function readAlert(alert: Record<string, string>): Finding {
  const { url = '/', param = '' } = alert;
  return {
    rule: alert['alert'] ?? alert['name'] ?? 'unknown',
    severity: severityOf[alert['risk'] ?? ''] ?? 'high',
    path: URL.canParse(url) ? new URL(url).pathname : url,
    ...(param === '' ? {} : { parameter: param }),
    detail: (alert['description'] ?? '').split('\n', 1)[0] ?? '',
  };
}

async function asking<T>(what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof OperationError) throw error;
    const { message, response } = error as Error & { response?: { data?: unknown } };
    const answer = response?.data === undefined ? '' : ` ${JSON.stringify(response.data).slice(0, 200)}`;
    throw new OperationError(
      `asking ZAP for its ${what}`,
      message + answer,
      `check that ZAP is installed completely: ${greenlight('doctor')}`,
      { cause: error },
    );
  }
}
