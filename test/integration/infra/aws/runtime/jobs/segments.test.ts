import { expect } from 'chai';
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RegisterTaskDefinitionCommand } from '@aws-sdk/client-ecs';
import { runK6, type K6Run } from '../../../../../../automation/gates/load/k6.ts';
import { segmentsByJobs } from '../../../../../../automation/gates/load/segments-by-jobs.ts';
import { createAwsJobs } from '../../../../../../infra/aws/runtime/jobs/jobs.ts';
import { taskDefinition } from '../../../../../../infra/aws/runtime/jobs/task.ts';
import { packageRoot } from '../../../../../../infra/lib/paths.ts';
import { toolPath } from '../../../../../../infra/lib/tools.ts';
import { parseReference, storeImage } from '../../../../../emulated-account/images.ts';
import { tasksPart, type TasksPart } from '../../../../../emulated-account/tasks.ts';
import { openAccount, type Account } from '../../setting.ts';

const image = 'grafana/k6:1.8.1';
/** Of tasks that are processes here, ms. */
const leadMs = 15_000;

/** The real k6 as tasks of ECS, each with its own segment, against a server on loopback. */
describe('load from several tasks', () => {
  let account: Account;
  let tasks: TasksPart;
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-segments-'));
    account = await openAccount();
    const images = join(account.folder, 'images');
    tasks = tasksPart({
      directory: join(account.folder, 'tasks'),
      images,
      authority: join(account.certificates, 'ca.pem'),
      endpoint: account.gateway.endpoint,
    });
    account.gateway.use(tasks.hooks);
    const files = join(directory, 'k6-image');
    await mkdir(files);
    await symlink(toolPath('k6'), join(files, 'k6'));
    // As the real image is: its entry point is k6 itself.
    const facts = { digest: 'sha256:6', platform: 'linux/amd64', entryPoint: ['k6'], command: [], env: {} };
    await storeImage(images, parseReference(image), files, facts);
  });
  after(async () => {
    await tasks?.close();
    await account?.close();
    await rm(directory, { recursive: true, force: true });
  });

  it('sends exactly what one load sends, and judges the merged result', async () => {
    let requests = 0;
    const server = createServer(({ url }, response) => {
      // Each segment sets itself up.
      if (url !== '/setup') requests += 1;
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    }).listen(0, '127.0.0.1');
    try {
      await once(server, 'listening');
      const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const jobs = createAwsJobs({
        ...account,
        waits: { pollMs: 200, startMs: 20_000, stopMs: 20_000, logMs: 10_000 },
      });
      const artefact = { version: '1.0.0', digest: `sha256:${'0'.repeat(64)}`, location: directory };
      const run: K6Run = {
        script: join(packageRoot, 'test/integration/automation/gates/load/fixtures/journey.ts'),
        entry: { baseUrl },
        requestsPerSecond: 50,
        durationSeconds: 2,
        headers: {},
        summaryFile: join(directory, 'summary.json'),
        logFile: join(directory, 'k6.log'),
        signal: AbortSignal.timeout(90_000),
        segments: 2,
        runner: segmentsByJobs({ jobs, artefact, image, program: './k6', leadMs }),
      };
      const numbers = await runK6(run);
      expect(numbers).to.include({ requests: 100, errorRate: 0 });
      expect(requests).to.equal(100);
      expect(numbers.p95Ms).to.be.greaterThan(0);
      expect(tasks.errors).to.deep.equal([]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("passes over the entry point of a third party's image, and leaves its /tmp as it is", async () => {
    const artefact = { version: '1.0.0', digest: `sha256:${'0'.repeat(64)}`, location: directory };
    const common = {
      kind: 'job' as const,
      container: 'job',
      artefact,
      command: ['sh', '-c', 'true'],
      environment: {},
      secrets: {},
      tags: {},
    };
    const theirs = taskDefinition(account, { ...common, image }, undefined);
    expect(theirs.containerDefinitions?.[0]).to.deep.include({
      image,
      entryPoint: ['sh'],
      command: ['-c', 'true'],
      mountPoints: [],
    });
    const ours = taskDefinition(account, common, undefined);
    expect(ours.containerDefinitions?.[0]).to.deep.include({
      command: ['sh', '-c', 'true'],
      readonlyRootFilesystem: true,
    });
    expect(ours.containerDefinitions?.[0]?.entryPoint).to.equal(undefined);
    await account.clients.containers.send(new RegisterTaskDefinitionCommand(theirs));
  });
});
