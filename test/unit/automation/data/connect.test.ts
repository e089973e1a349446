import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect } from 'chai';
import { connect, isLost } from '../../../../automation/data/connect.ts';
import { hasCode } from '../../../../infra/lib/errors.ts';

describe('a session that is lost', () => {
  const login = { user: 'u', password: 'p' };

  it('is recognised by the origin of the error, not by its message', async () => {
    const server = createServer((socket) => socket.destroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const access = { host: '127.0.0.1', port, database: 'd', caFile: import.meta.filename };
    const error = await connect({ ...access, admin: login, owner: login, app: login }, 'app').catch((e: unknown) => e);
    server.close();
    expect(hasCode(error, 'unreachable')).to.equal(true);
    expect(isLost(error)).to.equal(true);
    const words = (error as Error & { cause: Error }).cause.message;
    expect(isLost(new Error(words)), words).to.equal(false);
  });
});
