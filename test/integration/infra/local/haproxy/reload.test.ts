import { expect } from 'chai';
import { readdirSync } from 'node:fs';
import type { Agent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { balancerSocket } from '../../../../../infra/local/haproxy/config.ts';
import { runtimeCommand } from '../../../../../infra/local/haproxy/runtime.ts';
import { send, startTestbed, type Testbed, until } from './testbed.ts';

describe('reloading the balancer', () => {
  let bed: Testbed;
  let agent: Agent;
  before(async () => {
    bed = await startTestbed();
    agent = bed.agent();
    await bed.router.apply({ live: 'green', percent: 25 });
  });
  after(() => bed?.dispose());

  const worker = async () =>
    /^Pid: (\d+)/m.exec(await runtimeCommand(balancerSocket(bed.layout), 'show info', 'asking for the worker'))?.[1];
  const reload = async () => {
    const before = await worker();
    process.kill(bed.balancerPid(), 'SIGUSR2');
    await until(async () => expect(await worker()).to.not.equal(before));
  };

  it('fails no request under load, and keeps the split', async () => {
    const failed: string[] = [];
    let sent = 0;
    let stop = false;
    const clients = Array.from({ length: 8 }, async (_, index) => {
      while (!stop) {
        sent += 1;
        await send(bed, agent, '/api/x', { method: index % 2 === 0 ? 'GET' : 'POST' }).then(
          ({ status }) => status === 200 || failed.push(`status ${status}`),
          (error: Error) => failed.push(error.message),
        );
      }
    });
    const more = async (count: number) => {
      const wanted = sent + count;
      while (sent < wanted) await sleep(10);
    };
    await more(50);
    await reload();
    await more(100);
    stop = true;
    await Promise.all(clients);
    expect(failed).to.deep.equal([]);
    expect((await bed.router.read()).split).to.deep.equal({ live: 'green', percent: 25 });
  });

  it('is over before writes are held: the old worker knows nothing of a hold', async () => {
    const idle = bed.agent();
    await send(bed, idle, '/api/x');
    await reload();
    let holding = false;
    const hold = bed.router.hold(60_000).then(() => (holding = true));
    await sleep(300);
    expect(holding).to.equal(false);
    const last = await send(bed, idle, '/api/x', { method: 'POST' });
    expect([last.status, last.headers.connection]).to.deep.equal([200, 'close']);
    await hold;
    await bed.router.resumeWrites();
  });

  it('holds nothing any more once the hold was given up, though the old worker ends later', async () => {
    const idle = bed.agent();
    await send(bed, idle, '/api/x');
    await reload();
    const end = new AbortController();
    const given = { live: 'green', percent: 0 } as const;
    const hold = bed.router.hold(60_000, given, end.signal).then(
      () => 'held',
      () => 'given up',
    );
    await sleep(100);
    end.abort();
    await bed.router.resumeWrites();
    await send(bed, idle, '/api/x', { method: 'POST' });
    expect(await hold).to.equal('given up');
    expect((await bed.router.read()).holdMs).to.equal(0);
    expect(readdirSync(bed.layout.balancer()).filter((name) => name.endsWith('.new'))).to.deep.equal([]);
  });
});
