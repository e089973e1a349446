import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { greenlight } from '../../../lib/command.ts';
import { OperationError } from '../../../lib/errors.ts';
import { other, type EnvironmentSpec, type Split } from '../../../model.ts';
import { healthOf } from '../../../application/health.ts';
import type { EntryPoint } from '../../../platform/router.ts';
import { userAgent } from '../../../lib/user-agent.ts';
import { routesOf } from '../../lib/routing-plan.ts';

export interface ProbeAnswer {
  /** 0: no answer. */
  status: number;
  /** Value of `x-greenlight-colour`. */
  colour?: string | undefined;
  /** `x-greenlight-fence`, if the write hold answered. */
  fence?: string | undefined;
}

export interface ProbeRequest {
  method: string;
  path: string;
}

/** Sends a request to the entry point like a new client: over its own connection, without cookies. */
export interface Probe {
  (request: ProbeRequest, node?: LookupAddress): Promise<ProbeAnswer>;
  /** Addresses of the load balancer's nodes. DNS answers are cached in one order, so each node is probed separately. */
  nodes?(): Promise<LookupAddress[]>;
}

const answerMs = 5_000;

export function createProbe({ baseUrl, caFile }: Pick<EntryPoint, 'baseUrl' | 'caFile'>): Probe {
  let authority: Promise<string> | undefined;
  const probe: Probe = async ({ method, path }, node) => {
    const ca = caFile === undefined ? undefined : await (authority ??= readFile(caFile, 'utf8'));
    // Only the address is overridden: TLS and `Host` keep the name of the entry point.
    const lookup: LookupFunction | undefined = node && ((_name, _options, done) => done(null, [node]));
    // One agent per request, because a reused connection would reach the same node again.
    const dispatcher = new Agent({ connect: { ca, lookup, timeout: answerMs }, headersTimeout: answerMs });
    // Marks the request as synthetic, for applications that tell it apart from users' traffic.
    const headers = { ...userAgent, 'x-greenlight-synthetic': '1' };
    try {
      const answer = await request(new URL(path, baseUrl), { dispatcher, method, headers });
      const header = (name: string) => [answer.headers[name]].flat()[0];
      return {
        status: answer.statusCode,
        colour: header('x-greenlight-colour'),
        fence: header('x-greenlight-fence'),
      };
    } catch {
      return { status: 0 };
    } finally {
      void dispatcher.destroy();
    }
  };
  // The load balancer has only IPv4 addresses.
  const nodes = () => lookup(new URL(baseUrl).hostname, { all: true, family: 4 });
  return Object.assign(probe, { nodes });
}

/** One readable path per service that its own routes lead to: the health path if possible, else one of its routes. */
export function probePaths({ services, writes }: Pick<EnvironmentSpec, 'services' | 'writes'>): string[] {
  const routes = routesOf({ services });
  const leadsTo = (path: string) => routes.find(({ prefix }) => path.startsWith(prefix))?.service;
  const isWrite = (path: string) => writes.paths.some((prefix) => path.startsWith(prefix));
  return services.flatMap(({ name, health, routes: own }) => {
    const check = healthOf(health);
    const paths = check.kind === 'http' ? [check.path, ...own] : own;
    const path = paths.find((candidate) => leadsTo(candidate) === name && !isWrite(candidate));
    return path === undefined ? [] : [path];
  });
}

/** Correct answers in a row that are required when one colour gets all reads. */
const answersInARow = 20;
/**
 * For any other share, bounds of the number of answers that are judged. In between: three of the rarer colour on
 * average.
 */
const [fewest, most] = [60, 300];
/** Standard deviations: one false alarm in about 16,000 judgements. */
const deviations = 4;

/** Number of last answers that are judged. */
export function sampleSize(percent: number): number {
  const rarer = Math.min(percent, 100 - percent) / 100;
  return rarer === 0 ? answersInARow : Math.min(most, Math.max(fewest, Math.ceil(3 / rarer)));
}

/**
 * Whether the last answers agree with a split. For a share in between: within `deviations` of a binomial distribution.
 */
export function agrees(answers: ProbeAnswer[], { live, percent }: Split): boolean {
  const size = sampleSize(percent);
  const last = answers.slice(-size);
  const canary = last.filter(({ colour }) => colour === other(live)).length;
  if (last.length < size || last.some(({ colour }) => colour !== 'blue' && colour !== 'green')) return false;
  if (percent === 0) return canary === 0;
  if (percent === 100) return canary === size;
  const share = percent / 100;
  const bound = deviations * Math.sqrt(size * share * (1 - share)) + 1;
  return canary > 0 && canary < size && Math.abs(canary - size * share) <= bound;
}

export interface ObserveOptions {
  probe: Probe;
  request: ProbeRequest;
  /** Concurrent requests per node. */
  parallel: number;
  deadline: number;
  doing: string;
}

const pauseMs = 50;

/**
 * Probes until `done` holds for the answers of each node (oldest first). Rejects with an OperationError after
 * `deadline` (ms since the epoch).
 */
export async function observe(options: ObserveOptions, done: (answers: ProbeAnswer[]) => boolean): Promise<void> {
  const { probe, request, parallel, deadline, doing } = options;
  const answers: (ProbeAnswer & { from: string | undefined })[] = [];
  const ask = async (node: LookupAddress | undefined) => ({ ...(await probe(request, node)), from: node?.address });
  for (;;) {
    // If the name cannot be resolved, the probe's own failure is reported.
    const nodes = (await probe.nodes?.().catch(() => undefined)) ?? [undefined];
    answers.push(...(await Promise.all(nodes.flatMap((node) => Array.from({ length: parallel }, () => ask(node))))));
    if (nodes.every((node) => done(answers.filter(({ from }) => from === node?.address)))) return;
    if (Date.now() > deadline) {
      throw new OperationError(
        doing,
        `AWS accepted the change, but it has no effect yet: ${request.method} ${request.path} was answered by ${summary(answers)}`,
        `look at the rules of the listener and the health of the targets, then: ${greenlight('resume')}`,
      );
    }
    await sleep(pauseMs);
  }
}

/** `12 x blue, 3 x 503 without x-greenlight-colour`. */
export function summary(answers: ProbeAnswer[]): string {
  const said = ({ status, colour, fence }: ProbeAnswer): string => {
    if (fence !== undefined) return `the write hold (${fence})`;
    return colour ?? (status === 0 ? 'no answer' : `${status} without x-greenlight-colour`);
  };
  const counts = Map.groupBy(answers.slice(-most), said);
  return [...counts].map(([what, of]) => `${of.length} x ${what}`).join(', ');
}
