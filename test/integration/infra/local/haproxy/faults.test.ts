import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import type { Agent } from 'node:https';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { balancerSocket } from '../../../../../infra/local/haproxy/config.ts';
import { runtimeCommand } from '../../../../../infra/local/haproxy/runtime.ts';
import { send, startTestbed, type Testbed, until } from './testbed.ts';

describe('faults around the balancer', () => {
  let bed: Testbed;
  let agent: Agent;
  before(async () => {
    bed = await startTestbed();
    agent = bed.agent();
    await bed.router.apply({ live: 'blue', percent: 0 });
  });
  after(() => bed?.dispose());

  const command = (line: string) => runtimeCommand(balancerSocket(bed.layout), line, 'changing the balancer by hand');
  const trafficFile = () => readFile(join(bed.layout.balancer(), 'traffic.map'), 'utf8');
  const rejection = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: unknown) => error as OperationError,
    );

  it('fails no read when an instance is killed under load, and none while it comes back', async () => {
    const failed: string[] = [];
    let sent = 0;
    let stop = false;
    const clients = Array.from({ length: 16 }, async () => {
      while (!stop) {
        sent += 1;
        try {
          const answer = await send(bed, agent, '/api/x', { headers: { 'x-test-wait': '5' } });
          if (answer.status !== 200) failed.push(`status ${answer.status}`);
        } catch (error) {
          failed.push((error as Error).message);
        }
      }
    });
    const more = async (count: number) => {
      const wanted = sent + count;
      while (sent < wanted) await sleep(10);
    };
    await more(100);
    await bed.killBackend('api.blue.1');
    await bed.untilHealthy('api.blue.1', false);
    await more(200);
    await bed.startBackend('api.blue.1');
    await bed.untilHealthy('api.blue.1');
    stop = true;
    await Promise.all(clients);
    expect(failed).to.deep.equal([]);
  });

  it('sends a write to the other instance when one refuses connections', async () => {
    await bed.killBackend('api.blue.2');
    const answers = await Promise.all(Array.from({ length: 20 }, () => send(bed, agent, '/api/x', { method: 'POST' })));
    expect(answers.map((answer) => answer.status)).to.deep.equal(Array(20).fill(200));
    await bed.startBackend('api.blue.2');
    await bed.untilHealthy('api.blue.2');
  });

  it('sends a write once only when its instance dies over it', async () => {
    const write = send(bed, agent, '/api/x', { method: 'POST', headers: { 'x-test-wait': '5000' } });
    await until(async () => expect(await bed.router.writesInFlight('blue')).to.equal(1));
    // The instance that has it is not known: both die, and a write that was sent again would have found nobody either.
    await bed.killBackend('api.blue.1');
    await bed.killBackend('api.blue.2');
    expect((await write).status).to.equal(502);
    await bed.startBackend('api.blue.1');
    await bed.startBackend('api.blue.2');
    await bed.untilHealthy('api.blue.1');
    await bed.untilHealthy('api.blue.2');
  });

  it('reads what the balancer has, not what was asked for', async () => {
    await command('set map traffic.map split green:77');
    expect((await bed.router.read()).split).to.deep.equal({ live: 'green', percent: 77 });
    await bed.router.apply({ live: 'blue', percent: 3 });
    expect((await bed.router.read()).split).to.deep.equal({ live: 'blue', percent: 3 });
    expect(await trafficFile()).to.contain('split blue:3\n');
  });

  it('says so when the map is damaged', async () => {
    await command('set map traffic.map split blue:banana');
    const error = await rejection(bed.router.read());
    expect(error).to.be.instanceOf(OperationError);
    expect(error?.found).to.contain('blue:banana');
    await command('set map traffic.map split blue:3');
  });

  it('rejects a change that the balancer does not take, and puts the file back', async () => {
    await bed.router.apply({ live: 'blue', percent: 0 });
    await command('del map traffic.map split');
    await command('add map traffic.map split blue:0');
    await command('add map traffic.map split blue:0');
    await command('del map traffic.map hold');
    const error = await rejection(bed.router.apply({ live: 'green', percent: 0 }));
    expect(error).to.be.instanceOf(OperationError);
    expect(await trafficFile()).to.equal('split blue:0\nhold 0\nrefuse 0\n');
    await bed.stopBalancer();
    await bed.startBalancer();
    expect((await bed.router.read()).split).to.deep.equal({ live: 'blue', percent: 0 });
  });

  it('rejects with what to do when the balancer is gone, and changes nothing', async () => {
    const before = await trafficFile();
    await bed.stopBalancer();
    const attempts = [
      () => bed.router.read(),
      () => bed.router.apply({ live: 'green', percent: 0 }),
      () => bed.router.hold(1000),
      () => bed.router.refuse(1000),
      () => bed.router.resumeWrites(),
      () => bed.router.writesInFlight('blue'),
    ];
    for (const attempt of attempts) {
      const error = await rejection(attempt());
      expect(error).to.be.instanceOf(OperationError);
      expect(error?.found).to.contain('does not answer');
    }
    expect(await trafficFile()).to.equal(before);
    await bed.startBalancer();
    expect((await bed.router.read()).split).to.deep.equal({ live: 'blue', percent: 0 });
  });
});
