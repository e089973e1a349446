import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect } from 'chai';
import { createClients, type Clients } from '../../../../../../infra/aws/runtime/client/clients.ts';
import { s3Records, type Records } from '../../../../../../infra/aws/runtime/shared/records.ts';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import { startGateway, type Gateway } from '../../../../../emulated-account/gateway.ts';
import { startMoto, type Moto } from '../../../../../emulated-account/moto.ts';
import { refusal } from '../../../../../contract/databases.ts';

const region = 'eu-central-1';
const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
const bucket = 'state';
const id = '20260101-120000-1.0.0';

/** Two machines that release to the same environment: a folder and a store each. */
describe('records of releases in S3', function () {
  this.timeout(60_000);
  let moto: Moto;
  let gateway: Gateway;
  let clients: Clients;
  let folder: string;
  let one: Machine;
  let two: Machine;

  interface Machine {
    records: Records;
    releases: string;
    write(path: string, text: string): Promise<void>;
    read(path: string): Promise<string>;
    push: () => Promise<void>;
    pull: () => Promise<void>;
  }

  const machine = async (name: string): Promise<Machine> => {
    const releases = join(folder, name);
    await mkdir(join(releases, id), { recursive: true });
    const records = s3Records(clients.objects, bucket);
    return {
      records,
      releases,
      async write(path, text) {
        const file = join(releases, id, path);
        await mkdir(dirname(file), { recursive: true });
        await writeFile(file, text);
      },
      read: (path) => readFile(join(releases, id, path), 'utf8'),
      push: () => records.pushRelease('production', id, join(releases, id)),
      pull: () => records.pullReleases('production', releases),
    };
  };

  before(async () => {
    moto = await startMoto();
    gateway = await startGateway({ moto: moto.endpoint });
    clients = createClients({ region, endpoint: gateway.endpoint, credentials });
  });
  after(async () => {
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    await gateway.close();
    await moto.close();
  });
  beforeEach(async () => {
    await fetch(`${moto.endpoint}/moto-api/reset`, { method: 'POST' });
    await clients.objects.send(
      new CreateBucketCommand({ Bucket: bucket, CreateBucketConfiguration: { LocationConstraint: region } }),
    );
    folder = await mkdtemp(join(tmpdir(), 'greenlight-records-'));
    [one, two] = [await machine('one'), await machine('two')];
    await rm(join(two.releases, id), { recursive: true });
    await one.write('journal.jsonl', '{"n":1}\n{"n":2}\n');
    await one.write('evidence/tls/answer.json', '{}');
    await one.write('report.html', '<p>1</p>');
  });
  afterEach(async () => {
    gateway.faults.clear();
    await rm(folder, { recursive: true });
  });

  /** Writes that came through while `work` ran. */
  const writesOf = async (work: () => Promise<void>): Promise<number> => {
    const seen = gateway.faults.add({ kind: 'drop', service: 's3', action: 'PUT', times: 0 });
    await work();
    seen.remove();
    return seen.attempts.length;
  };

  it('bring a release to another machine whole, readable for its owner alone', async () => {
    await one.push();
    await two.pull();
    expect(await two.read('journal.jsonl')).to.equal('{"n":1}\n{"n":2}\n');
    expect(await two.read('evidence/tls/answer.json')).to.equal('{}');
    expect((await readdir(join(two.releases, id), { recursive: true })).sort()).to.deep.equal([
      'evidence',
      'evidence/tls',
      'evidence/tls/answer.json',
      'journal.jsonl',
      'report.html',
    ]);
    expect((await stat(join(two.releases, id, 'journal.jsonl'))).mode & 0o077).to.equal(0);
    await two.records.pullReleases('staging', join(folder, 'staging'));
    expect(await readdir(folder)).not.to.include('staging');
  });

  it('push what changed only, the journal first', async () => {
    expect(await writesOf(one.push)).to.equal(3);
    expect(await writesOf(one.push)).to.equal(0);
    await appendFile(join(one.releases, id, 'journal.jsonl'), '{"n":3}\n');
    expect(await writesOf(one.push)).to.equal(1);
    await one.write('report.html', '<p>2</p>');
    expect(await writesOf(one.push)).to.equal(1);
    const anew = { ...one, records: s3Records(clients.objects, bucket) };
    expect(await writesOf(() => anew.records.pushRelease('production', id, join(one.releases, id)))).to.equal(0);
    await one.write('evidence/more.json', '{}');
    await appendFile(join(one.releases, id, 'journal.jsonl'), '{"n":4}\n');
    // All but the first write is refused: the intent is there before anything else.
    gateway.use([
      {
        service: 's3',
        actions: ['PUT'],
        before: ({ url }) =>
          url.includes('more.json')
            ? Promise.resolve({
                status: 403,
                headers: {},
                body: Buffer.from('<Error><Code>AccessDenied</Code></Error>'),
              })
            : Promise.resolve(undefined),
      },
    ]);
    expect(await refusal(one.push()))
      .to.include('AccessDenied')
      .and.include('docs/aws.md');
    await two.pull();
    expect(await two.read('journal.jsonl')).to.include('"n":4');
  });

  it('let the machine go on that has the lock, and bring it back to the first', async () => {
    await one.push();
    await two.pull();
    await appendFile(join(two.releases, id, 'journal.jsonl'), '{"n":3}\n');
    await two.write('report.html', '<p>two</p>');
    await two.push();
    await one.pull();
    expect(await one.read('journal.jsonl')).to.equal('{"n":1}\n{"n":2}\n{"n":3}\n');
    expect(await one.read('report.html')).to.equal('<p>two</p>');
  });

  it('keep a journal that is longer here, and its files', async () => {
    await one.push();
    await appendFile(join(one.releases, id, 'journal.jsonl'), '{"n":3}\n');
    await one.write('report.html', '<p>newer</p>');
    await one.pull();
    expect(await one.read('journal.jsonl')).to.include('"n":3');
    expect(await one.read('report.html')).to.equal('<p>newer</p>');
  });

  it('refuse where two machines wrote the same release, and change nothing', async () => {
    await one.push();
    await two.pull();
    await appendFile(join(two.releases, id, 'journal.jsonl'), '{"two":3}\n');
    await two.push();
    for (const theirs of ['{"one":3}\n', '{"one":3}\n{"one":4}\n']) {
      await one.write('journal.jsonl', `{"n":1}\n{"n":2}\n${theirs}`);
      for (const action of [one.pull, one.push])
        expect(await refusal(action()))
          .to.include('two machines wrote the same release')
          .and.include(`s3://${bucket}/`);
      expect(await one.read('journal.jsonl')).to.include(theirs);
    }
    await one.write('journal.jsonl', '{"n":1}\n');
    expect(await refusal(one.push()), 'behind: another machine went on').to.include('two machines');
    await rm(join(two.releases, id), { recursive: true });
    await two.pull();
    expect(await two.read('journal.jsonl')).to.include('"two":3');
  });

  it('push whole lines only, and no message between commands', async () => {
    await appendFile(join(one.releases, id, 'journal.jsonl'), '{"cut');
    await one.write('rollback.requested', '');
    await one.push();
    await two.pull();
    expect(await two.read('journal.jsonl')).to.equal('{"n":1}\n{"n":2}\n');
    expect(await readdir(join(two.releases, id))).not.to.include('rollback.requested');
    await one.pull();
    expect(await one.read('journal.jsonl')).to.include('{"cut');
  });

  it('are brought again where a pull was cut off', async () => {
    await one.push();
    const broken = gateway.faults.add({ kind: 'expired-token', service: 's3', action: 'GET' });
    expect(await refusal(two.pull())).to.include('log in again');
    broken.remove();
    await two.pull();
    await rm(join(two.releases, id, 'journal.jsonl'));
    await two.write('report.html', 'half');
    await two.pull();
    expect(await two.read('report.html')).to.equal('<p>1</p>');
  });

  it('come from names that stay within their folder, and from releases with a journal', async () => {
    const put = (Key: string) => clients.objects.send(new PutObjectCommand({ Bucket: bucket, Key, Body: 'x' }));
    await put('greenlight/releases/production/no-journal/report.html');
    for (const path of ['../../out', '/absolute', 'a/../../out', '.hidden'])
      await put(`greenlight/releases/production/${id}/${path}`);
    await one.push();
    const { Contents = [] } = await clients.objects.send(new ListObjectsV2Command({ Bucket: bucket }));
    expect(Contents.map(({ Key }) => Key)).to.include(`greenlight/releases/production/${id}/../../out`);
    await two.pull();
    expect(await readdir(two.releases)).to.deep.equal([id]);
    expect(await readdir(folder)).to.have.members(['one', 'two']);
  });

  it('of two pushes at once only one has the journal', async () => {
    await two.write('journal.jsonl', '{"two":1}\n');
    const results = await Promise.allSettled([one.push(), two.push()]);
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused).to.have.length(1);
    expect(refused[0]?.reason).to.be.instanceOf(OperationError);
  });
});
