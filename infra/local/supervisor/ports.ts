import { OperationError } from '../../lib/errors.ts';
import { colours, type EnvironmentSpec } from '../../model.ts';
import type { Ports } from '../lib/layout.ts';
import { claimPort, isFree, temporaryPortsEnd } from '../../lib/free-ports.ts';
import { describeListener } from '../../lib/listener.ts';
import { allPorts } from './reserved-ports.ts';

export { allPorts };

/** Ends below the system's ephemeral ports, which start at 32768 on Linux and at 49152 on macOS. */
const first = temporaryPortsEnd;
const last = 32_000;
/** Ports reserved per environment. Enough for six services with two instances each on both colours. */
const blockSize = 50;

/** What needs ports. */
export interface PortsWanted {
  /** Port of the entry point, if the release definition has one. */
  https?: number;
  /** Instances per service and colour. */
  services: Record<string, number>;
  integrations: string[];
}

export const portsWanted = (spec: EnvironmentSpec): PortsWanted => ({
  https: spec.port,
  services: Object.fromEntries(spec.services.map((service) => [service.name, service.instances])),
  integrations: spec.integrations.filter(({ url }) => url === undefined).map(({ name }) => name),
});

/**
 * Allocates all wanted ports. Ports in `recorded` are kept; others are the next free ones from `preferred` on that no other
 * environment has `reserved`. Rejects with an OperationError if the wanted entry port is in use or no port is free.
 */
export async function allocatePorts(
  wanted: PortsWanted,
  preferred: number,
  recorded?: Ports,
  reserved: ReadonlyMap<number, string> = new Map(),
): Promise<Ports> {
  const used = new Set([...reserved.keys(), ...(recorded === undefined ? [] : allPorts(recorded))]);
  let candidate = recorded === undefined ? await freeBlock(preferred, used) : preferred;
  const next = async (): Promise<number> => {
    for (let tries = 0; tries < last - first; tries += 1) {
      const port = candidate;
      candidate = candidate < last ? candidate + 1 : first;
      if (used.has(port) || port === wanted.https || !(await isFree(port))) continue;
      used.add(port);
      return port;
    }
    throw new OperationError(
      'allocating ports',
      `no port from ${first} to ${last} is free`,
      'stop the programs that use them',
    );
  };
  const keep = async (port: number | undefined): Promise<number> => port ?? (await next());
  const list = async (ports: number[] | undefined, count: number): Promise<number[]> => {
    const result: number[] = [];
    for (let index = 0; index < count; index += 1) result.push(await keep(ports?.[index]));
    return result;
  };

  const ports: Ports = {
    https: wanted.https === undefined ? await keep(recorded?.https) : await entryPort(wanted.https, recorded, reserved),
    http: await keep(recorded?.http),
    balancerMetrics: await keep(recorded?.balancerMetrics),
    prometheus: await keep(recorded?.prometheus),
    alertmanager: await keep(recorded?.alertmanager),
    alertReceiver: await keep(recorded?.alertReceiver),
    database: { blue: await keep(recorded?.database.blue), green: await keep(recorded?.database.green) },
    instances: { blue: {}, green: {} },
    integrations: {},
  };
  for (const colour of colours) {
    for (const [service, count] of Object.entries(wanted.services))
      ports.instances[colour][service] = await list(recorded?.instances[colour][service], count);
  }
  for (const name of wanted.integrations) ports.integrations[name] = await keep(recorded?.integrations[name]);
  return ports;
}

/**
 * First port of the first block from `preferred` on in which every port is free. A partly used block may belong to
 * another environment whose idle colour needs its ports later. A claimed block is being allocated by another program
 * that does not listen yet. Without a free block, resolves to `preferred`, and single free ports are used.
 */
async function freeBlock(preferred: number, used: ReadonlySet<number>): Promise<number> {
  const blocks = Math.floor((last - first) / blockSize);
  const begin = Math.floor((preferred - first) / blockSize);
  for (let index = 0; index < blocks; index += 1) {
    const start = first + ((begin + index) % blocks) * blockSize;
    const block = Array.from({ length: blockSize }, (_, port) => start + port);
    if (block.some((port) => used.has(port))) continue;
    const free = await Promise.all(block.map(isFree));
    if (free.every(Boolean) && (await claimPort(start))) return start;
  }
  return preferred;
}

async function entryPort(wanted: number, recorded: Ports | undefined, reserved: ReadonlyMap<number, string>) {
  const taken = wanted === recorded?.https ? undefined : await whoHas(wanted, reserved);
  if (taken === undefined) return wanted;
  throw new OperationError('allocating the port of the entry point', `port ${wanted} is taken by ${taken}`, otherPort);
}

export const otherPort = 'stop it, or set another port in environments.<name>.port of the release definition';

/** Who has a port, as the end of a sentence; undefined if it is free. */
export async function whoHas(port: number, reserved: ReadonlyMap<number, string>): Promise<string | undefined> {
  const directory = reserved.get(port);
  if (directory !== undefined) return `the environment in ${directory}, whether it runs or not`;
  return (await isFree(port)) ? undefined : describeListener(port);
}

/**
 * First port to try for an environment: a hash of its directory, so that it is stable and rarely shared with another
 * one.
 */
export function preferredPort(directory: string): number {
  let hash = 0;
  for (const char of directory) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return first + (hash % Math.floor((last - first) / blockSize)) * blockSize;
}
