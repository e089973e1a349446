import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { connect, createServer, type Server } from 'node:net';
import { OperationError } from './errors.ts';

/** Ports for what lives no longer than one command. The ports of environments begin above them. */
const passingFirst = 10_000;
export const passingLast = 18_000;

/** Longest wait for an answer of this machine itself, ms. */
const answerMs = 2000;

/**
 * Ports of 127.0.0.1 that are free now, at random, and claimed until this program ends: for what lives no longer than one
 * command. Not those that the system would give: an outgoing connection could have one of them before it is listened at.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries += 1) {
    if (tries > passingLast - passingFirst) {
      throw new OperationError(
        'finding free ports',
        `none from ${passingFirst} to ${passingLast}`,
        'stop what uses them',
      );
    }
    const port = randomInt(passingFirst, passingLast);
    if (!ports.has(port) && (await isFree(port)) && (await claimPort(port))) ports.add(port);
  }
  return [...ports];
}

/**
 * Keeps other programs of Greenlight from choosing `port` before it is listened at; false where one of them, or this one, has
 * claimed it. The claim is the UDP port of the same number, which nothing here uses: the system gives it to one process, and
 * takes it back however that ends.
 */
export function claimPort(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const claim = createSocket('udp4');
    // Where there is no such socket to be had at all, nobody can claim anything.
    claim.once('error', (error: NodeJS.ErrnoException) => {
      claim.close();
      resolve(error.code !== 'EADDRINUSE');
    });
    claim.bind({ port, address: '127.0.0.1', exclusive: true }, () => {
      claim.unref();
      resolve(true);
    });
  });
}

/** Whether nobody listens at `port`. Connecting too: macOS lets one bind to 127.0.0.1 beside a server on all addresses. */
export async function isFree(port: number): Promise<boolean> {
  try {
    await close(await listen(port));
  } catch {
    return false;
  }
  return (await connects(port)) !== true;
}

/** Whether something accepts connections at a port of 127.0.0.1; the reason where nothing does. */
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
