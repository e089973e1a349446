import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect } from 'chai';
import { createClients, type Clients } from '../../../../../../infra/aws/runtime/client/clients.ts';
import { s3Leases, type Leases } from '../../../../../../infra/aws/runtime/shared/leases.ts';
import type { LeaseRecord } from '../../../../../../infra/aws/runtime/shared/lease-object.ts';
import { packageRoot } from '../../../../../../infra/lib/paths.ts';
import { LeaseHeldError } from '../../../../../../infra/platform/lease.ts';
import { startGateway, type Gateway } from '../../../../../emulated-account/gateway.ts';
import { startMoto, type Moto } from '../../../../../emulated-account/moto.ts';
import { refusal } from '../../../../../contract/databases.ts';

const region = 'eu-central-1';
const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
const bucket = 'state';
const key = 'greenlight/locks/staging.json';

/** Takes and releases on command; its clock is `skewMs` off. */
const taker = `
const [endpoint, skewMs] = process.argv.slice(1);
const now = Date.now;
Date.now = () => now() + Number(skewMs);
const { createClients } = await import(${JSON.stringify(join(packageRoot, 'infra/aws/runtime/client/clients.ts'))});
const { s3Leases } = await import(${JSON.stringify(join(packageRoot, 'infra/aws/runtime/shared/leases.ts'))});
const { objects } = createClients({ region: '${region}', endpoint, credentials: ${JSON.stringify(credentials)} });
const leases = s3Leases(objects, '${bucket}');
let lease;
process.stdin.setEncoding('utf8').on('data', async (text) => {
  for (const line of text.trim().split('\\n')) {
    const [verb, release] = line.split(' ');
    try {
      if (verb === 'take') { lease = await leases.acquire('staging', { owner: 'tester', release }); console.log('won ' + (lease.note ?? '')); }
      if (verb === 'unlock') { await lease.unlock(); console.log('unlocked'); }
    } catch (error) { console.log(error.name + ': ' + error.message.split('\\n')[0]); }
  }
});
console.log('ready');
`;

class Taker {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(endpoint: string, skewMs = 0) {
    const options = ['--input-type=module', '-e', taker, endpoint, String(skewMs)];
    this.process = spawn(process.execPath, options, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    return ((await this.#lines.next()).value as string | undefined) ?? 'ended';
  }

  ask(text: string): Promise<string> {
    this.process.stdin?.write(`${text}\n`);
    return this.line();
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exit = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exit;
  }
}

describe('leases in S3', function () {
  this.timeout(120_000);
  let moto: Moto;
  let gateway: Gateway;
  let clients: Clients;
  let leases: Leases;
  const takers: Taker[] = [];

  before(async () => {
    moto = await startMoto();
    gateway = await startGateway({ moto: moto.endpoint });
    clients = createClients({ region, endpoint: gateway.endpoint, credentials });
    await clients.objects.send(
      new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: region } }),
    );
    leases = s3Leases(clients.objects, bucket);
  });
  afterEach(async () => {
    gateway.faults.clear();
    for (const each of takers.splice(0)) await each.kill();
  });
  after(async () => {
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    await gateway.close();
    await moto.close();
  });

  const start = async (count: number, skewMs = 0): Promise<Taker[]> => {
    const started = Array.from({ length: count }, () => new Taker(gateway.endpoint, skewMs));
    takers.push(...started);
    for (const each of started) expect(await each.line()).to.equal('ready');
    return started;
  };

  const stored = async (): Promise<LeaseRecord> => {
    const { Body } = await clients.objects.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return JSON.parse((await Body?.transformToString()) ?? '') as LeaseRecord;
  };
  const change = async (part: Partial<LeaseRecord>): Promise<void> => {
    const Body = JSON.stringify({ ...(await stored()), ...part });
    await clients.objects.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body }));
  };

  it('are refused while their owner lives, saying who and since when, and free after', async () => {
    const [first] = (await start(1)) as [Taker];
    expect(await first.ask('take r1')).to.equal('won ');
    const refused = await leases.acquire('staging', { owner: 'me', release: 'r2' }).catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(LeaseHeldError);
    expect((refused as Error).message).to.match(
      /locking staging: tester has it for release r1 since \d{4}-.*process \d+ on .*\n.*end its process/,
    );
    expect((await leases.holder('staging'))?.release).to.equal('r1');
    expect(await leases.holder('production')).to.equal(undefined);
    expect(await first.ask('unlock')).to.equal('unlocked');
    expect(await leases.holder('staging')).to.equal(undefined);
    const lease = await leases.acquire('staging', { owner: 'me', release: 'r2' });
    await lease.unlock();
  });

  it('are won by exactly one of many, when free and from a killed owner, again and again', async () => {
    const many = await start(8);
    for (let round = 0; round < 6; round++) {
      const answers = await Promise.all(many.map((each) => each.ask(`take r${round}`)));
      const winners = many.filter((_, i) => answers[i]?.startsWith('won'));
      expect(winners, answers.join('\n')).to.have.length(1);
      expect(answers.filter((answer) => answer.startsWith('LeaseHeldError'))).to.have.length(many.length - 1);
      if (round > 0)
        expect(answers.join('\n')).to.match(/won took over the lock of release r\d by tester: its process \d+ is dead/);
      await winners[0]?.kill();
      many.splice(many.indexOf(winners[0] as Taker), 1);
    }
  });

  it('of another machine are taken over after their end only, whatever the clocks here say', async () => {
    await clients.objects.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: '{}' }));
    const [early, late] = [...(await start(1, -3_600_000)), ...(await start(1, 3_600_000))] as [Taker, Taker];
    const record: LeaseRecord = {
      token: 'theirs',
      owner: 'other',
      host: 'elsewhere',
      pid: 1,
      release: 'r1',
      since: '2000-01-01T00:00:00.000Z',
      leaseUntil: '2000-01-01T00:00:00.000Z',
      processStart: '1',
      place: 'elsewhere',
      leaseMs: 2_000,
      renewal: 0,
    };
    const put = () =>
      clients.objects.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: JSON.stringify(record) }));
    await put();
    for (const each of [early, late])
      expect(await each.ask('take r2')).to.match(/^LeaseHeldError: .*other has it for release r1/);
    expect(await refusal(leases.acquire('staging', { owner: 'me', release: 'r2' }))).to.match(
      /if elsewhere is gone, it can be taken over after 20(?!00)/,
    );
    let answers: string[];
    do {
      await sleep(200);
      answers = await Promise.all([early.ask('take r3'), late.ask('take r3')]);
    } while (answers.every((answer) => answer.startsWith('LeaseHeldError')));
    const won = answers.filter((answer) => answer.startsWith('won'));
    expect(won, answers.join('\n')).to.have.length(1);
    expect(won[0]).to.include('took over the lock of release r1 by other: no sign of life from elsewhere');
    await [early, late][answers.findIndex((answer) => answer.startsWith('won'))]?.ask('unlock');
  });

  it('on a host of the same name that was started anew wait for their end: its processes are others', async () => {
    const lease = await leases.acquire('staging', { owner: 'me', release: 'r1', leaseMs: 60_000 });
    await change({ place: `${hostname()} another-boot pid:[1]`, pid: 2 ** 22 + 1 });
    expect(await refusal(leases.acquire('staging', { owner: 'me', release: 'r2' }))).to.include(
      'has it for release r1',
    );
    await change({ place: (lease.holder as LeaseRecord).place });
    const next = await leases.acquire('staging', { owner: 'me', release: 'r2' });
    expect(next.note).to.match(/its process \d+ is dead$/);
    await next.unlock();
    await lease.unlock();
  });

  it('are renewed, and lost by whoever was taken over', async () => {
    const lease = await leases.acquire('staging', { owner: 'me', release: 'r1', leaseMs: 900 });
    while ((await stored()).renewal < 4) await sleep(50);
    expect(lease.held()).to.equal(true);
    await change({ token: 'theirs', release: 'r2' });
    while (lease.held()) await sleep(50);
    await lease.unlock();
    expect((await stored()).release, 'the old owner cannot release what is not its own').to.equal('r2');
  });

  it('are not held any longer once they could not be renewed, and again once they could', async () => {
    await change({ place: 'x', leaseMs: 0 });
    while ((await leases.holder('staging')) !== undefined) await sleep(50);
    const lease = await leases.acquire('staging', { owner: 'me', release: 'r1', leaseMs: 1_200 });
    const fault = gateway.faults.add({ kind: 'drop', service: 's3' });
    while (lease.held()) await sleep(50);
    fault.remove();
    while (!lease.held()) await sleep(50);
    await lease.unlock();
    expect(await leases.holder('staging')).to.equal(undefined);
  });

  it('outlive a renewal that takes too long', async () => {
    const leaseMs = 6_000;
    const lease = await leases.acquire('staging', { owner: 'me', release: 'r1', leaseMs });
    const slow = gateway.faults.add({ kind: 'slow', service: 's3', action: 'PUT', delayMs: 3_500, times: 1 });
    for (const end = performance.now() + leaseMs + 500; performance.now() < end; await sleep(50))
      expect(lease.held()).to.equal(true);
    expect(slow.struck).to.equal(1);
    await lease.unlock();
  });

  it('are taken, renewed and released once where answers are lost', async () => {
    for (const action of ['PUT', 'DELETE'])
      gateway.faults.add({ kind: 'answer-lost', service: 's3', action, times: 1 });
    const lease = await leases.acquire('staging', { owner: 'me', release: 'r1', leaseMs: 3_000 });
    expect(lease.note).to.equal(undefined);
    gateway.faults.add({ kind: 'answer-lost', service: 's3', action: 'PUT', times: 1 });
    while ((await stored()).renewal < 2) await sleep(50);
    expect(lease.held()).to.equal(true);
    await lease.unlock();
    expect(await leases.holder('staging')).to.equal(undefined);
  });

  it('that cannot be read stop everything, and say so', async () => {
    await clients.objects.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: '{"tok' }));
    expect(await refusal(leases.acquire('staging', { owner: 'me', release: 'r1' }))).to.include('delete that object');
  });
});
