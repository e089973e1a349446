import { expect } from 'chai';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalImages } from '../../../../../infra/local/runtime/images.ts';
import { createLocalJobs } from '../../../../../infra/local/runtime/jobs.ts';
import type { Job } from '../../../../../infra/platform/jobs.ts';
import { jobsContract } from '../../../../contract/jobs.ts';
import { ImageFolder, podman, removeTestImages } from '../../../../lib/image.ts';
import { moveHome } from '../../../../lib/own-home.ts';
import { rejection } from '../postgres/environment.ts';

const application = 'test-jobs';

async function openContainer() {
  const folder = await mkdtemp(join(tmpdir(), `greenlight it's "ü" `));
  const image = new ImageFolder();
  image.dockerfile(['USER 1000:1000']);
  const location = join(folder, 'artefact');
  await mkdir(location);
  const images = createLocalImages('podman', (text) => text);
  await images.make({
    application,
    version: '1.0.0',
    services: [
      { name: 'web', image: { dockerfile: 'Dockerfile', context: '.', args: {}, root: false, readOnly: true } },
    ],
    jobs: 'web',
    out: location,
    logs: join(folder, 'logs'),
    timeoutMs: 120_000,
    signal: new AbortController().signal,
    root: image.directory,
  });
  return {
    folder,
    artefact: { version: '1.0.0', digest: `sha256:${'0'.repeat(64)}`, location },
    jobs: createLocalJobs({ redact: (text) => text.replaceAll('hunter2', '[redacted]') }),
    async close() {
      image.close();
      removeTestImages(application);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

jobsContract('local, in containers', openContainer);

describe('a job in a container', () => {
  let opened: Awaited<ReturnType<typeof openContainer>>;
  before(async () => {
    opened = await openContainer();
  });
  after(() => opened.close());

  const job = (command: string[], more: Partial<Job> = {}): Job => ({
    name: 'job',
    artefact: opened.artefact,
    command,
    env: {},
    timeoutMs: 60_000,
    log: join(opened.folder, 'logs', 'job.log'),
    ...more,
  });
  // Other tests run containers at the same time.
  const own = `label=greenlight.owner=${process.pid}`;
  const containers = () => podman('ps', '--all', '--quiet', '--filter', own).trim();

  it('is said to have no such program where the image has none', async () => {
    const error = await rejection(opened.jobs.run(job(['nothing-of-that-name'])));
    expect(error)
      .to.have.property('message')
      .that.matches(/"nothing-of-that-name" could not be started in the image/);
  });

  it('leaves no container when its time is over, also where it ignores SIGTERM', async () => {
    const script = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('begun')";
    const result = await opened.jobs.run(job(['node', '-e', script], { timeoutMs: 2000 }));
    expect(result.timedOut).to.equal(true);
    expect(containers()).to.equal('');
  });

  it('leaves no container when it is aborted', async () => {
    const abort = new AbortController();
    const running = opened.jobs.run(job(['node', '-e', 'setInterval(() => {}, 1000)'], { signal: abort.signal }));
    while (containers() === '') await sleep(50);
    abort.abort(new Error('enough'));
    expect(await rejection(running))
      .to.have.property('message')
      .that.contains('it was aborted');
    expect(containers()).to.equal('');
  });

  it('can reach the files that its variables name, and has no secret in an argument', async () => {
    const ca = join(opened.folder, 'ca.pem');
    const homeBack = moveHome(opened.folder);
    try {
      await writeFile(ca, 'the authority');
      const url = `postgresql://app:hunter2@127.0.0.1/app?sslmode=verify-full&sslrootcert=${encodeURIComponent(ca)}`;
      const script = `console.log(require('fs').readFileSync(new URL(process.env.DATABASE_URL).searchParams.get('sslrootcert'), 'utf8'));
        console.log(process.env.DATABASE_URL)`;
      const result = await opened.jobs.run(job(['node', '-e', script], { env: { DATABASE_URL: url } }));
      expect(result.tail).to.contain('the authority').and.to.contain('[redacted]');
      expect(await readFile(job([]).log, 'utf8')).not.to.contain('hunter2');
    } finally {
      homeBack();
    }
  });
});
