import { OperationError } from '../../lib/errors.ts';
import { colours, type EnvironmentSpec } from '../../model.ts';
import type { Ports } from '../lib/layout.ts';
import { claimPort, isFree, temporaryPortsEnd } from '../../lib/free-ports.ts';

/** Below the range from which the system takes ports for outgoing connections (32768 on Linux, 49152 on macOS). */
const first = temporaryPortsEnd;
const last = 32_000;
/** An environment's ports are together: two instances of six services on both colours still fit. */
const blockSize = 50;

/** What needs a port, by name. */
export interface PortsWanted {
  /** The entry point's, where the release definition names it. */
  https?: number;
  /** Instances per service and colour. */
  services: Record<string, number>;
  integrations: string[];
}

export const portsWanted = (spec: EnvironmentSpec): PortsWanted => ({
  https: spec.port,
  services: Object.fromEntries(spec.services.map((service) => [service.name, service.instances])),
  integrations: spec.integrations.filter(({ url }) => url === undefined).map(({ name }) => name),
}); /**
 * Ports for everything that is wanted. What `recorded` has keeps its number; the rest gets the next free ones from
 * `preferred` on. Throws an OperationError when the wanted entry port is taken.
 */
export async function allocatePorts(wanted: PortsWanted, preferred: number, recorded?: Ports): Promise<Ports> {
  const used = new Set(recorded === undefined ? [] : allPorts(recorded));
  let candidate = recorded === undefined ? await freeBlock(preferred) : preferred;
  const next = async (): Promise<number> => {
    for (let tries = 0; tries < last - first; tries += 1) {
      const port = candidate;
      candidate = candidate < last ? candidate + 1 : first;
      if (used.has(port) || port === wanted.https || !(await isFree(port))) continue;
      used.add(port);
      return port;
    }
    throw new OperationError('allocating ports', `none is free from ${first} to ${last}`, 'stop what uses them');
  };
  const keep = async (port: number | undefined): Promise<number> => port ?? (await next());
  const list = async (ports: number[] | undefined, count: number): Promise<number[]> => {
    const result: number[] = [];
    for (let index = 0; index < count; index += 1) result.push(await keep(ports?.[index]));
    return result;
  };

  const ports: Ports = {
    https: await entryPort(wanted.https, recorded?.https, next),
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
 * Begin of the first block from `preferred` on in which every port is free. One that is partly taken may be that of
 * another environment, whose inactive colour will want its ports back. One that is claimed is being taken by another
 * program, which listens at none of them yet. Where there is none, single ports have to do.
 */
async function freeBlock(preferred: number): Promise<number> {
  const blocks = Math.floor((last - first) / blockSize);
  const begin = Math.floor((preferred - first) / blockSize);
  for (let index = 0; index < blocks; index += 1) {
    const start = first + ((begin + index) % blocks) * blockSize;
    const free = await Promise.all(Array.from({ length: blockSize }, (_, port) => isFree(start + port)));
    if (free.every(Boolean) && (await claimPort(start))) return start;
  }
  return preferred;
}

async function entryPort(wanted: number | undefined, recorded: number | undefined, next: () => Promise<number>) {
  if (wanted === undefined) return recorded ?? (await next());
  if (wanted === recorded || (await isFree(wanted))) return wanted;
  throw new OperationError(
    'allocating the port of the entry point',
    `port ${wanted} is taken by another program`,
    'stop that program, or write another port into environments.<name>.port of the release definition',
  );
}

export const allPorts = (ports: Ports): number[] => [
  ports.https,
  ports.http,
  ports.balancerMetrics,
  ports.prometheus,
  ports.alertmanager,
  ports.alertReceiver,
  ...Object.values(ports.database),
  ...colours.flatMap((colour) => Object.values(ports.instances[colour]).flat()),
  ...Object.values(ports.integrations),
];

/** Where an environment's ports begin: the same for the same directory, and far from other environments'. */
export function preferredPort(directory: string): number {
  let hash = 0;
  for (const char of directory) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return first + (hash % Math.floor((last - first) / blockSize)) * blockSize;
}
