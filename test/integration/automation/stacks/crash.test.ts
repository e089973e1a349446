import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { execa } from 'execa';
import { destroyEnvironment } from '../../../../automation/stacks/destroy.ts';
import { createEngine } from '../../../../automation/stacks/engine.ts';
import { lockDirectory, recorded } from '../../../../automation/stacks/state.ts';
import { passphraseFile } from '../../../../infra/local/runtime/engine-settings.ts';
import { allPorts } from '../../../../infra/local/supervisor/ports.ts';
import { isFree } from '../../../../infra/lib/free-ports.ts';
import { pidFile } from '../../../../infra/local/supervisor/config.ts';
import { packageRoot, stateDirectory } from '../../../../infra/lib/paths.ts';
import { createFixture, isRunning, type Fixture } from './fixture.ts';

const environment = 'staging';

describe('the engine after a crash', function () {
  this.timeout(120_000);
  let fixture: Fixture;

  before(async () => {
    fixture = await createFixture(environment);
    await fixture.engine.up({ environment, kind: 'foundation', spec: fixture.spec });
  });
  after(() => fixture.dispose());

  for (const [doomed, version] of [
    ['greenlight:local:PostgresCluster', undefined],
    ['greenlight:local:Process', '1.0.0'],
  ] as const) {
    it(`clears the lock of an engine that was killed while it made a ${doomed}, settles that, and goes on`, async () => {
      const artefact = version === undefined ? undefined : await fixture.artefact(version);
      const config = { environment, kind: 'blue', colour: { colour: 'blue', ...(artefact && { artefact }) } } as const;
      const pending = async () => {
        const operations = (await recorded(fixture.platform.engine, 'staging-blue'))?.pending ?? [];
        return operations.filter(({ type }) => type === 'creating').map(({ resource }) => resource.type);
      };
      let over = false;
      const ended = rejection(fixture.engine.up(config)).finally(() => (over = true));
      while (!over && !(await pending()).includes(doomed)) await sleep(5);
      const pid = lockHolder('staging-blue');
      process.kill(pid, 'SIGKILL');
      expect(await ended).to.include('applying the stack staging-blue');
      expect(lockHolder('staging-blue')).to.equal(pid);
      expect(await pending()).to.include(doomed);

      await fixture.engine.up(config);
      expect(await pending()).to.deep.equal([]);
      const running = (await fixture.supervisor.list()).map(({ name }) => name);
      expect(running).to.include.members(artefact ? ['database.blue', 'api.blue.1', 'web.blue.1'] : ['database.blue']);
      expect(await fixture.engine.refresh({ environment, kind: 'blue' })).to.deep.equal([]);
    });
  }

  it('goes on after the whole program was killed', async () => {
    const script = join(fixture.home, 'up.ts');
    const from = (path: string) => JSON.stringify(join(packageRoot, path));
    await writeFile(
      script,
      `
      import { createEngine } from ${from('automation/stacks/engine.ts')};
      import { createLocalPlatform } from ${from('infra/local/platform.ts')};
      const engine = createEngine(createLocalPlatform(), { onProgress: ({ resource, state }) => console.log(resource, state) });
      await engine.up({ environment: 'staging', kind: 'green', colour: { colour: 'green' } });
    `,
    );
    const program = execa(process.execPath, [script], { reject: false, env: { GREENLIGHT_HOME: fixture.home } });
    await new Promise<void>((resolve) => {
      program.stdout.on('data', (text: Buffer) => {
        if (text.includes('database.green started')) resolve();
      });
    });
    process.kill(program.pid as number, 'SIGKILL');
    await program;
    // The engine itself lives on for a moment: until it ends, it is said who holds the lock.
    for (;;) {
      const error = await fixture.engine.up({ environment, kind: 'green', colour: { colour: 'green' } }).then(
        () => undefined,
        (reason: Error) => reason,
      );
      if (error === undefined) break;
      expect(error.message).to.include('locking the stack staging-green: process');
      await sleep(200);
    }
    expect((await fixture.supervisor.state('database.green'))?.state).to.be.oneOf(['STARTING', 'RUNNING']);
  });

  it('ends when it is aborted, and leaves nothing half made', async () => {
    await fixture.engine.destroy({ environment, kind: 'green' });
    const abort = new AbortController();
    const engine = createEngine(fixture.platform, { onProgress: () => abort.abort(new Error('stopped by a person')) });
    const request = { environment, kind: 'green', colour: { colour: 'green' } } as const;
    expect(await rejection(engine.up({ ...request, signal: abort.signal }))).to.equal('stopped by a person');
    expect(await rejection(engine.up({ ...request, signal: abort.signal }))).to.equal('stopped by a person');
    expect((await recorded(fixture.platform.engine, 'staging-green'))?.pending).to.deep.equal([]);
    await fixture.engine.up(request);
    expect((await fixture.supervisor.list()).map(({ name }) => name)).to.include('database.green');
  });

  it('goes on where the engine was killed while it wrote the state', async () => {
    const file = join(stateDirectory(), '.pulumi', 'stacks', 'greenlight', 'staging-blue.json');
    const names = async () =>
      (await recorded(fixture.platform.engine, 'staging-blue'))?.resources.map(({ urn }) => urn);
    const leaveLock = async () => {
      const directory = join(stateDirectory(), lockDirectory('staging-blue'));
      await mkdir(directory, { recursive: true });
      const dead = { pid: 2 ** 22 + 1, username: 'u', hostname: hostname(), timestamp: 't' };
      await writeFile(join(directory, 'dead.json'), JSON.stringify(dead));
    };
    for (const cut of ['', (await readFile(file, 'utf8')).slice(0, 300)]) {
      await writeFile(file, cut);
      // Of each file the backend keeps a sum beside it, which it writes first.
      for (const sum of [`${file}.attrs`, `${file}.bak.attrs`]) await writeFile(sum, '');
      await leaveLock();
      expect(await names()).to.have.length.greaterThan(3);
      const config = { colour: 'blue', artefact: await fixture.artefact('1.0.0') } as const;
      const before = await fixture.supervisor.state('web.blue.1');
      await fixture.engine.up({ environment, kind: 'blue', colour: config });
      expect((await fixture.supervisor.state('web.blue.1'))?.pid).to.equal(before?.pid);
      expect(await fixture.engine.refresh({ environment, kind: 'blue' })).to.deep.equal([]);
    }
    const config = { colour: 'blue', artefact: await fixture.artefact('1.0.0') } as const;
    await writeFile(file, '');
    await writeFile(`${file}.bak`, '');
    await leaveLock();
    const refused = await rejection(fixture.engine.up({ environment, kind: 'blue', colour: config }));
    expect(refused).to.include(`${file} is empty`);
    await fixture.engine.forget(environment, 'blue');
    const before = await fixture.supervisor.state('web.blue.1');
    await fixture.engine.up({ environment, kind: 'blue', colour: config });
    expect((await fixture.supervisor.state('web.blue.1'))?.pid).to.equal(before?.pid);
  });

  it('refuses while another engine works on the stack, and says who', async () => {
    const directory = join(stateDirectory(), lockDirectory('staging-blue'));
    await mkdir(directory, { recursive: true });
    const file = join(directory, 'other.json');
    const lock = { pid: process.pid, username: 'somebody', hostname: hostname(), timestamp: '2026-01-01T00:00:00Z' };
    await writeFile(file, JSON.stringify(lock));
    const refused = await rejection(fixture.engine.refresh({ environment, kind: 'blue' }));
    expect(refused).to.include(`process ${process.pid} of somebody on ${hostname()}`);
    await writeFile(file, JSON.stringify({ ...lock, hostname: 'another-host' }));
    expect(await rejection(fixture.engine.refresh({ environment, kind: 'blue' }))).to.include('another-host');
    await rm(file);
  });

  it('says so when the passphrase is another one', async () => {
    const right = await readFile(passphraseFile(), 'utf8');
    await writeFile(passphraseFile(), 'another one');
    const refused = await rejection(createEngine(fixture.platform).refresh({ environment, kind: 'blue' }));
    await writeFile(passphraseFile(), right);
    expect(refused).to.include('the passphrase is not the one that encrypted the state');
  });

  it('finds everything gone when the supervisor was killed, and brings it back without duplicates', async () => {
    const before = await fixture.supervisor.list();
    process.kill(Number(await readFile(pidFile(fixture.supervisor.files), 'utf8')), 'SIGKILL');
    const gone = await fixture.engine.refresh({ environment, kind: 'foundation' });
    expect(gone.map(({ resource }) => resource)).to.include.members(['supervisor', 'balancer', 'integration.bank']);
    await fixture.engine.up({ environment, kind: 'foundation', spec: fixture.spec });
    for (const { pid } of before) expect(await isRunning(pid), `process ${pid}`).to.equal(false);
    await fixture.engine.refresh({ environment, kind: 'blue' });
    await fixture.engine.up({
      environment,
      kind: 'blue',
      colour: { colour: 'blue', artefact: await fixture.artefact('1.0.0') },
    });
    expect((await fixture.supervisor.list()).map(({ name }) => name)).to.have.members(before.map(({ name }) => name));
  });

  it('takes everything down without its state', async () => {
    const ports = fixture.layout.ports();
    const running = await fixture.supervisor.list();
    await rm(stateDirectory(), { recursive: true });
    await mkdir(stateDirectory());
    await destroyEnvironment(createEngine(fixture.platform), fixture.platform, environment, { keepBackups: true });
    for (const { pid } of running) expect(await isRunning(pid), `process ${pid}`).to.equal(false);
    for (const port of allPorts(ports)) expect(await isFree(port), `port ${port}`).to.equal(true);
  });
});

function lockHolder(stack: string): number {
  const directory = join(stateDirectory(), lockDirectory(stack));
  const [file] = readdirSync(directory).filter((name) => name.endsWith('.json'));
  return (JSON.parse(readFileSync(join(directory, file as string), 'utf8')) as { pid: number }).pid;
}

async function rejection(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing was refused',
    (error: Error) => error.message,
  );
}
