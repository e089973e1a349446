import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, createServer, type Server } from 'node:net';
import { OperationError } from './errors.ts';

/**
 * Range of ports for servers that live no longer than one command. The end is exclusive; environments use the ports
 * from there on. The range begins after 10080, which `fetch` and browsers refuse (Fetch Standard, "bad port").
 */
export const temporaryPortsFrom = 10_081;
export const temporaryPortsEnd = 18_000;

/** Connect timeout on loopback, ms. */
const answerMs = 2000;

/**
 * Random free ports of 127.0.0.1 for servers that live no longer than one command, claimed until this program ends.
 * They are outside the system's ephemeral range, from which an outgoing connection could take one before the server
 * listens.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries += 1) {
    if (tries > temporaryPortsEnd - temporaryPortsFrom) {
      throw new OperationError(
        'finding free ports',
        `no port from ${temporaryPortsFrom} to ${temporaryPortsEnd} is free`,
        'stop the programs that use them',
      );
    }
    const port = randomInt(temporaryPortsFrom, temporaryPortsEnd);
    if (!ports.has(port) && (await isFree(port)) && (await claimPort(port))) ports.add(port);
  }
  return [...ports];
}

/** Claims `port` until this program ends, as `holdPort` does. Resolves to false if it is claimed already. */
export const claimPort = async (port: number): Promise<boolean> => (await holdPort(port)) !== undefined;

/**
 * Keeps other Greenlight programs from choosing `port` before a server listens on it. Resolves to what gives it back, or to undefined
 * if the port is already claimed, by this program or another one. The claim is a socket on the UDP port of the same number, which
 * Greenlight does not use otherwise: the system grants it to one process and releases it however that process ends.
 */
export function holdPort(port: number): Promise<(() => Promise<void>) | undefined> {
  return new Promise((resolve) => {
    const claim = createSocket('udp4');
    const end = () => new Promise<void>((done) => claim.close(done));
    // Any other error: no such socket is available, so no program can claim a port, and the port counts as claimed.
    claim.once('error', (error: NodeJS.ErrnoException) => {
      claim.close();
      resolve(error.code === 'EADDRINUSE' ? undefined : () => Promise.resolve());
    });
    claim.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      claim.unref();
      resolve(end);
    });
  });
}

/**
 * Whether nothing listens on `port`. Also tries to connect: macOS allows binding 127.0.0.1 beside a server on all
 * addresses.
 */
export async function isFree(port: number): Promise<boolean> {
  try {
    await close(await listen(port));
  } catch {
    return false;
  }
  return (await connects(port)) !== true;
}

/** True if a server accepts connections on this port of 127.0.0.1, otherwise the reason why not. */
export function connects(port: number): Promise<true | string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, timeout: answerMs });
    const end = (result: true | string) => {
      socket.destroy();
      resolve(result);
    };
    socket.on('connect', () => end(true));
    socket.on('timeout', () => end(`port ${port} does not answer`));
    socket.on('error', (error: NodeJS.ErrnoException) => end(`port ${port}: ${error.code ?? error.message}`));
  });
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server));
  });
}

const close = (server: Server): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
