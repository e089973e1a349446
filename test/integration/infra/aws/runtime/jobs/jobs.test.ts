import { expect } from 'chai';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeregisterTaskDefinitionCommand,
  ListTaskDefinitionsCommand,
  RegisterTaskDefinitionCommand,
} from '@aws-sdk/client-ecs';
import { CreateSecretCommand, DeleteSecretCommand, ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { imageTag } from '../../../../../../infra/aws/lib/names.ts';
import { sweepTasks } from '../../../../../../infra/aws/runtime/jobs/sweep.ts';
import { createAwsJobs } from '../../../../../../infra/aws/runtime/jobs/jobs.ts';
import { asEcsTags, asTagList, temporaryTags } from '../../../../../../infra/aws/runtime/client/temporary.ts';
import type { Job } from '../../../../../../infra/platform/jobs.ts';
import { parseReference, storeImage } from '../../../../../emulated-account/images.ts';
import { tasksPart, type TasksPart } from '../../../../../emulated-account/tasks.ts';
import { refusal } from '../../../../../contract/databases.ts';
import { jobsContract } from '../../../../../contract/jobs.ts';
import { openAccount, type Account } from '../../setting.ts';
import { withSidecar } from '../../sidecar.ts';

const quickJobs = { pollMs: 100, startMs: 20_000, stopMs: 20_000, logMs: 10_000 };

async function open() {
  const account = await openAccount();
  const images = join(account.folder, 'images');
  const tasks = tasksPart({
    directory: join(account.folder, 'tasks'),
    images,
    authority: join(account.certificates, 'ca.pem'),
    endpoint: account.gateway.endpoint,
    mostStopMs: 1000,
  });
  const told: { exitCode?: number } = {};
  /** How often RunTask finds no room. */
  const withoutCapacity = { times: 0 };
  const full = { tasks: [], failures: [{ reason: 'Capacity is unavailable at this time' }] };
  const answer = {
    status: 200,
    headers: { 'content-type': 'application/x-amz-json-1.1' },
    body: Buffer.from(JSON.stringify(full)),
  };
  const before = () => Promise.resolve((withoutCapacity.times -= 1) < 0 ? undefined : answer);
  account.gateway.use([{ service: 'ecs', actions: ['RunTask'], before }, ...withSidecar(tasks.hooks, told)]);
  const location = join(account.folder, 'artefact');
  await mkdir(location);
  await writeFile(join(location, 'marker.txt'), 'artefact');
  const artefact = { version: '1.0.0', digest: `sha256:${'0'.repeat(64)}`, location };
  const reference = parseReference(`${account.foundation.repository.url}:${imageTag(artefact.digest)}`);
  const facts = { digest: 'sha256:1', platform: 'linux/amd64', entryPoint: [], command: [], env: {} };
  await storeImage(images, reference, location, facts);
  const close = async () => {
    await tasks.close();
    await account.close();
  };
  return { account, tasks, artefact, images, told, withoutCapacity, close };
}

jobsContract('aws', async () => {
  const { account, artefact, close } = await open();
  return { jobs: createAwsJobs({ ...account, waits: quickJobs }), artefact, folder: account.folder, close };
});

describe('jobs as tasks of ECS', () => {
  let account: Account;
  let tasks: TasksPart;
  let opened: Awaited<ReturnType<typeof open>>;
  before(async () => {
    opened = await open();
    ({ account, tasks } = opened);
  });
  after(() => opened.close());
  afterEach(() => account.gateway.faults.clear());

  const jobs = (waits = {}) =>
    createAwsJobs({
      ...account,
      waits: { ...quickJobs, ...waits },
      redact: (text) => text.replaceAll('hunter2', '[redacted]'),
    });
  const job = (command: string[], more: Partial<Job> = {}): Job => ({
    name: 'job',
    artefact: opened.artefact,
    command,
    env: {},
    timeoutMs: 20_000,
    log: join(account.folder, 'logs', 'job.log'),
    ...more,
  });
  const node = (script: string, more: Partial<Job> = {}): Job => job(['node', '-e', script], more);
  const log = () => readFile(job([]).log, 'utf8');
  const secrets = async (): Promise<string[]> =>
    ((await account.clients.secrets.send(new ListSecretsCommand({}))).SecretList ?? []).map(({ Name }) => Name ?? '');
  const definitions = async (): Promise<string[]> =>
    (await account.clients.containers.send(new ListTaskDefinitionsCommand({ status: 'ACTIVE' }))).taskDefinitionArns ??
    [];

  afterEach('leave nothing', async () => {
    expect(await secrets()).to.deep.equal([]);
    expect(await definitions()).to.deep.equal([]);
    expect(tasks.tasks().filter(({ status }) => status !== 'STOPPED')).to.deep.equal([]);
  });

  it('keep what is secret out of the definition and the log', async () => {
    const definitions: string[] = [];
    account.gateway.use([
      {
        service: 'ecs',
        actions: ['RegisterTaskDefinition'],
        before: (call) => Promise.resolve(void definitions.push(JSON.stringify(call.input))),
      },
    ]);
    const result = await jobs().run(node('console.log(process.env.TOKEN)', { env: { TOKEN: 'hunter2', EMPTY: '' } }));
    expect(result.tail).to.equal('[redacted]');
    expect(await log()).to.equal('[redacted]\n');
    expect(definitions.join()).to.contain(':TOKEN::').and.not.to.contain('hunter2');
    expect(definitions.join()).to.contain('"readonlyRootFilesystem":true').and.to.contain('"containerPath":"/tmp"');
  });

  it('verify databases by the file in the image, and trust no file of this machine', async () => {
    const DATABASE_URL = 'postgresql://app:x@host:5432/app?sslmode=verify-full&sslrootcert=%2Fhome%2Fme%2Fca.pem';
    const script = 'console.log(process.env.DATABASE_URL, process.env.NODE_EXTRA_CA_CERTS)';
    const { tail } = await jobs().run(node(script, { env: { DATABASE_URL, NODE_EXTRA_CA_CERTS: '/home/me/ca.pem' } }));
    // The emulation has its own file in the place of the image's.
    expect(tail).to.contain(`sslrootcert=${join(account.certificates, 'ca.pem')} undefined`);
  });

  it('trust the authority of the entry point, where it has one of its own', async () => {
    const file = join(account.certificates, 'ca.pem');
    const settings = { ...account.settings, authorities: { ...account.settings.authorities, entry: file } };
    const own = createAwsJobs({ ...account, settings, waits: quickJobs });
    const script =
      "console.log(require('fs').readFileSync(process.env.NODE_EXTRA_CA_CERTS, 'utf8')); console.log(process.env.GREENLIGHT_JOB_AUTHORITY)";
    const { tail } = await own.run(node(script, { env: { NODE_EXTRA_CA_CERTS: file } }));
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    expect(tail.split('\n').filter(Boolean)).to.deep.equal([...lines.slice(-19), 'undefined'].slice(-20));
  });

  it('bring back results of any size and content, and a log of many pages', async () => {
    const results = join(account.folder, 'results.bin');
    const script = `const bytes = require('crypto').randomBytes(400000); require('fs').writeFileSync(process.argv[1], bytes);
      for (let i = 0; i < 12000; i++) console.log('line ' + i); process.stdout.write(require('crypto').createHash('sha256').update(bytes).digest('hex'))`;
    const { exitCode, tail } = await jobs().run(job(['node', '-e', script, '{results}'], { results }));
    expect(exitCode).to.equal(0);
    expect(
      createHash('sha256')
        .update(await readFile(results))
        .digest('hex'),
    ).to.equal(tail.split('\n').at(-1));
    const lines = (await log()).trim().split('\n');
    expect(lines).to.have.length(12_001);
    expect(lines[11_999]).to.equal('line 11999');
  });

  it('wait for a log that comes late', async () => {
    let asked = 0;
    const missing = { __type: 'ResourceNotFoundException', message: 'The specified log stream does not exist.' };
    const headers = { 'content-type': 'application/x-amz-json-1.1' };
    const answer = { status: 400, headers, body: Buffer.from(JSON.stringify(missing)) };
    const before = () => Promise.resolve((asked += 1) < 5 ? answer : undefined);
    account.gateway.use([{ service: 'logs', actions: ['GetLogEvents'], before }]);
    expect((await jobs().run(node("console.log('late')"))).tail).to.equal('late');
  });

  it('that are stopped may finish what they have', async () => {
    const script =
      "process.on('SIGTERM', () => { console.log('asked to end'); process.exit(0) }); setInterval(() => {}, 1000)";
    const result = await jobs().run(node(script, { timeoutMs: 1000 }));
    expect(result).to.include({ timedOut: true, exitCode: undefined });
    expect(await log()).to.match(/asked to end\njob was stopped after 1000 ms/);
  });

  it('end when they are aborted, and say so', async () => {
    const abort = new AbortController();
    const run = jobs().run(node('setInterval(() => {}, 1000)', { signal: abort.signal }));
    while (tasks.tasks().every(({ status }) => status !== 'RUNNING')) await sleep(20);
    abort.abort();
    expect(await refusal(run)).to.contain('running job: it was aborted');
    while (tasks.tasks().some(({ status }) => status !== 'STOPPED')) await sleep(20);
    expect(await refusal(jobs().run(node('', { signal: abort.signal })))).to.contain('it was aborted');
  });

  it('whose image is missing reject, with what ECS said and what to do', async () => {
    const artefact = { ...opened.artefact, digest: `sha256:${'1'.repeat(64)}` };
    expect(await refusal(jobs().run(node('', { artefact })))).to.match(
      /CannotPullContainerError.*\n.*npm run resume builds it again/,
    );
  });

  it('whose image is for another processor reject, and name the setting', async () => {
    const settings = { ...account.settings, tasks: { ...account.settings.tasks, architecture: 'ARM64' as const } };
    const other = createAwsJobs({ ...account, settings, waits: quickJobs });
    expect(await refusal(other.run(node('')))).to.match(/exec format error.*\n.*tasks\.architecture/);
  });

  it('whose program is not in the image reject', async () => {
    expect(await refusal(jobs().run(job(['no-such-program', 'x'])))).to.contain('no program "no-such-program"');
  });

  it('that find no capacity ask again, and give up with a reason', async () => {
    opened.withoutCapacity.times = 2;
    expect((await jobs().run(node('process.exit(4)'))).exitCode).to.equal(4);
    opened.withoutCapacity.times = 1000;
    expect(await refusal(jobs({ startMs: 500 }).run(node('')))).to.match(/Capacity is unavailable.*\n.*quota/);
    opened.withoutCapacity.times = 0;
  });

  it('reject where ECS and the log disagree on how they ended', async () => {
    opened.told.exitCode = 0;
    expect(await refusal(jobs().run(node('process.exit(3)')))).to.contain('exit code 3, ECS says 0');
    delete opened.told.exitCode;
  });

  it('survive throttling', async () => {
    const actions = {
      ecs: ['RegisterTaskDefinition', 'RunTask', 'DescribeTasks'],
      logs: ['GetLogEvents'],
      secretsmanager: ['CreateSecret', 'DeleteSecret'],
    };
    for (const [service, names] of Object.entries(actions))
      for (const action of names) account.gateway.faults.add({ kind: 'throttling', service, action, times: 2 });
    expect((await jobs().run(node("console.log('through')", { env: { A: 'b' } }))).tail).to.equal('through');
  });

  it('get their own HOME and a directory for what is temporary, which goes with them', async () => {
    const script =
      "const fs = require('fs'); fs.writeFileSync(process.env.TMPDIR + '/x', ''); console.log(process.env.TMPDIR, process.env.HOME)";
    const { tail } = await jobs().run(node(script));
    const [temporary = '', home] = tail.split(' ');
    expect(temporary)
      .to.equal(home)
      .and.to.match(/^\/tmp\/greenlight-/);
    expect(await refusal(readFile(join(temporary, 'x')))).to.contain('ENOENT');
  });

  it('that a killed run left are swept, with their secrets and definitions; nothing else', async () => {
    const marks = { environment: 'staging', application: 'sample', owner: 'learning' } as const;
    const left = { ...temporaryTags(marks, 'left', 60_000), 'greenlight-run': 'another-machine:1' };
    const mine = temporaryTags(marks, 'mine', 60_000);
    const { containers, secrets: vault } = account.clients;
    const containerDefinitions = [{ name: 'job', image: 'x', memory: 128 }];
    for (const tags of [left, mine])
      await containers.send(
        new RegisterTaskDefinitionCommand({ family: 'staging-job', containerDefinitions, tags: asEcsTags(tags) }),
      );
    await vault.send(
      new CreateSecretCommand({ Name: 'greenlight/staging/job-left', SecretString: 'x', Tags: asTagList(left) }),
    );
    await vault.send(
      new CreateSecretCommand({ Name: 'greenlight/staging/job-mine', SecretString: 'x', Tags: asTagList(mine) }),
    );
    await vault.send(new CreateSecretCommand({ Name: 'greenlight/staging/route', SecretString: 'x' }));
    expect((await sweepTasks(account)).sort()).to.deep.equal(['greenlight/staging/job-left', 'staging-job:1']);
    expect((await secrets()).sort()).to.deep.equal(['greenlight/staging/job-mine', 'greenlight/staging/route']);
    expect(await definitions()).to.have.length(1);
    for (const SecretId of await secrets())
      await vault.send(new DeleteSecretCommand({ SecretId, ForceDeleteWithoutRecovery: true }));
    for (const taskDefinition of await definitions())
      await containers.send(new DeregisterTaskDefinitionCommand({ taskDefinition }));
  });
});
