import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { expect } from 'chai';
import { allocatePorts, allPorts, preferredPort } from '../../../../../infra/local/supervisor/ports.ts';
import { claimPort, isFree } from '../../../../../infra/lib/free-ports.ts';

describe('blocks of ports', () => {
  const wanted = { services: { api: 2 }, integrations: [] };
  const servers: Server[] = [];
  afterEach(() => servers.splice(0).forEach((server) => server.close()));

  const take = (port: number) =>
    new Promise<void>((resolve, reject) => {
      servers.push(createServer().once('error', reject).listen(port, '127.0.0.1', resolve));
    });

  it('keeps out of a block that another environment has begun, though some of its ports are free', async () => {
    const preferred = preferredPort(`/somewhere/${process.pid}`);
    const first = allPorts(await allocatePorts(wanted, preferred));
    // The other environment has its entry point up, and its inactive colour down.
    await take(first[0] as number);
    const second = allPorts(await allocatePorts(wanted, preferred));
    expect(await isFree(first[1] as number)).to.equal(true);
    expect(second.filter((port) => first.includes(port))).to.deep.equal([]);
    expect(Math.floor((second[0] as number) / 50)).not.to.equal(Math.floor((first[0] as number) / 50));
  });

  it('keeps out of a block that another program takes just now, and of a port that it was told is its own', async () => {
    const preferred = preferredPort(`/elsewhere/${process.pid}`);
    const other = createSocket('udp4');
    other.bind({ port: preferred, address: '127.0.0.1', exclusive: true });
    await once(other, 'listening');
    expect(await claimPort(preferred)).to.equal(false);
    const ports = allPorts(await allocatePorts(wanted, preferred));
    expect(ports.filter((port) => port >= preferred && port < preferred + 50)).to.deep.equal([]);
    other.close();
    await once(other, 'close');
    expect(await claimPort(preferred)).to.equal(true);
    expect(await claimPort(preferred), 'it is claimed until the program ends').to.equal(false);
  });
});
