import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { row, rows, withClient } from '../../../../automation/data/connect.ts';
import { destroyEnvironment } from '../../../../automation/stacks/destroy.ts';
import { createLocalRouter } from '../../../../infra/local/haproxy/router.ts';
import { createLocalInstances } from '../../../../infra/local/runtime/instances.ts';
import { allPorts } from '../../../../infra/local/supervisor/ports.ts';
import { isFree } from '../../../../infra/lib/free-ports.ts';
import { stackName } from '../../../../infra/model.ts';
import { createFixture, isRunning, webhookToken, type Fixture } from './fixture.ts';

const environment = 'staging';

describe('the stacks of a local environment', function () {
  this.timeout(120_000);
  let fixture: Fixture;
  const up = async (config: Parameters<Fixture['engine']['up']>[0]) => {
    const result = await fixture.engine.up(config);
    if (process.env['GREENLIGHT_TIMES'])
      console.log(`      up ${config.kind}: ${result.ms} ms ${JSON.stringify(result.changes)}`);
    return result;
  };

  /** Options and a passphrase for another state, and a proxy that is none: of all this nothing may reach the engine. */
  const shell = {
    PULUMI_OPTION_PARALLEL: 'x',
    PULUMI_CONFIG_PASSPHRASE: 'of another state',
    http_proxy: 'http://127.0.0.1:9',
    HTTP_PROXY: 'http://127.0.0.1:9',
  };
  const shellBefore = { ...process.env };
  before(async () => {
    fixture = await createFixture(environment);
    Object.assign(process.env, shell);
  });
  after(async () => {
    await fixture.dispose();
    for (const name of [...Object.keys(shell), 'NO_PROXY', 'no_proxy']) {
      if (shellBefore[name] === undefined) delete process.env[name];
      else process.env[name] = shellBefore[name];
    }
  });

  it("come up one after the other, and every part is ready when its stack is, whatever the caller's shell says", async () => {
    const foundation = await up({ environment, kind: 'foundation', spec: fixture.spec });
    expect(foundation.changes['create']).to.be.greaterThan(10);
    await up({ environment, kind: 'blue', colour: { colour: 'blue' } });
    const databaseOnly = await fixture.supervisor.list();
    expect(databaseOnly.map(({ name }) => name))
      .to.include('database.blue')
      .and.not.include('api.blue.1');
    const artefact = await fixture.artefact('1.0.0');
    await up({ environment, kind: 'blue', colour: { colour: 'blue', artefact } });
    await up({ environment, kind: 'traffic', split: { live: 'blue', percent: 0 } });
    expect(await fixture.engine.config(environment, 'blue')).to.deep.equal({
      kind: 'blue',
      colour: { colour: 'blue', artefact },
    });

    const router = createLocalRouter(fixture.layout, fixture.spec);
    const answer = await ask(router.entry.baseUrl, fixture);
    expect(answer).to.include({ service: 'web', version: '1.0.0', colour: 'blue', database: false });
    expect(answer['greeting']).to.equal(`it's "quoted"; 100%\nand goes on`);
    expect(await ask(`${router.entry.baseUrl}/api`, fixture)).to.include({ service: 'api', database: true });
    const bank = fixture.layout.ports().integrations['bank'];
    expect(answer['bank']).to.equal(`http://127.0.0.1:${bank}`);
  });

  it('change nothing when they are applied again', async () => {
    const artefact = await fixture.artefact('1.0.0');
    const before = pids(await fixture.supervisor.list());
    for (const config of [
      { kind: 'foundation', spec: fixture.spec },
      { kind: 'blue', colour: { colour: 'blue', artefact } },
      { kind: 'traffic', split: { live: 'blue', percent: 0 } },
    ] as const) {
      const { changes } = await up({ environment, ...config });
      expect(Object.keys(changes)).to.deep.equal(['same']);
    }
    expect(pids(await fixture.supervisor.list())).to.deep.equal(before);
  });

  it('hold no secret in state, configuration, logs or argument lists', async () => {
    const values = readdirSync(join(fixture.layout.directory, 'secrets')).map((name) => {
      const file = join(fixture.layout.directory, 'secrets', name);
      expect(statSync(file).mode & 0o777, name).to.equal(0o600);
      return readFileSync(file, 'utf8').trim();
    });
    expect(values).to.have.length(7);
    values.push(webhookToken);
    const alertmanager = join(fixture.layout.alertmanager(), 'alertmanager.yml');
    expect(await readFile(alertmanager, 'utf8')).to.include(webhookToken);
    expect(statSync(alertmanager).mode & 0o777).to.equal(0o600);
    const allowed = [
      fixture.layout.alertmanager(),
      join(fixture.layout.directory, 'secrets'),
      join(fixture.layout.supervisor(), 'run'),
    ];
    const files = await readdir(fixture.home, { recursive: true, withFileTypes: true });
    for (const file of files.filter((entry) => entry.isFile() && !allowed.includes(entry.parentPath))) {
      const text = await readFile(join(file.parentPath, file.name), 'latin1');
      for (const value of values) expect(text.includes(value), join(file.parentPath, file.name)).to.equal(false);
    }
    const { stdout } = await execa('ps', ['-eww', '-o', 'args=']);
    for (const value of values) expect(stdout.includes(value)).to.equal(false);
  });

  it('find a stopped process, a changed file and a changed split, and repair them', async () => {
    const instances = createLocalInstances(fixture.layout);
    await instances.stop('web.blue.1');
    expect(await fixture.engine.refresh({ environment, kind: 'blue' })).to.deep.equal([
      { resource: 'web.blue.1', what: 'it is not running: stopped' },
    ]);
    const artefact = await fixture.artefact('1.0.0');
    const repaired = await up({ environment, kind: 'blue', colour: { colour: 'blue', artefact } });
    expect(repaired.changes['update']).to.equal(1);
    expect((await instances.list()).find(({ id }) => id === 'web.blue.1')?.state).to.be.oneOf(['starting', 'running']);

    const configuration = join(fixture.layout.balancer(), 'haproxy.cfg');
    await writeFile(configuration, `${await readFile(configuration, 'utf8')}\n# by hand\n`);
    const [changed] = await fixture.engine.refresh({ environment, kind: 'foundation' });
    expect(changed).to.deep.equal({ resource: 'balancer', what: 'unexpected content in haproxy.cfg' });
    expect((await up({ environment, kind: 'foundation', spec: fixture.spec })).changes['update']).to.equal(1);
    expect(await readFile(configuration, 'utf8')).not.to.include('# by hand');

    await createLocalRouter(fixture.layout, fixture.spec).apply({ live: 'blue', percent: 30 });
    const [split] = await fixture.engine.refresh({ environment, kind: 'traffic' });
    expect(split?.what).to.equal('in the balancer blue is live, and 30 percent of reads go to the other colour');
    await up({ environment, kind: 'traffic', split: { live: 'blue', percent: 0 } });
    expect((await createLocalRouter(fixture.layout, fixture.spec).read()).split?.percent).to.equal(0);
  });

  it('bring a killed process back without the engine', async () => {
    const before = await fixture.supervisor.state('web.blue.1');
    process.kill(before?.pid as number, 'SIGKILL');
    const instances = createLocalInstances(fixture.layout);
    for (;;) {
      const now = (await instances.list()).find(({ id }) => id === 'web.blue.1');
      if (now?.pid !== undefined && now.pid !== before?.pid) break;
    }
    expect(await fixture.engine.refresh({ environment, kind: 'blue' })).to.deep.equal([]);
  });

  it('replace the processes of a colour when its artefact changes, and only those', async () => {
    const before = pids(await fixture.supervisor.list());
    const artefact = await fixture.artefact('1.1.0');
    const { changes } = await up({ environment, kind: 'blue', colour: { colour: 'blue', artefact } });
    expect(changes['update']).to.equal(2);
    const after = pids(await fixture.supervisor.list());
    expect(after['database.blue']).to.equal(before['database.blue']);
    expect(after['balancer']).to.equal(before['balancer']);
    expect(after['web.blue.1']).not.to.equal(before['web.blue.1']);
    const { baseUrl } = createLocalRouter(fixture.layout, fixture.spec).entry;
    expect(await ask(baseUrl, fixture)).to.include({ version: '1.1.0' });
  });

  it('say which resource failed and why, and keep what was live', async () => {
    const artefact = await fixture.artefact('1.2.0');
    await writeFile(join(artefact.location, 'server.mjs'), 'console.error("no such table: users"); process.exit(1);');
    const error = await fixture.engine.up({ environment, kind: 'green', colour: { colour: 'green', artefact } }).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error?.message).to.match(
      /^applying the stack staging-green: (api|web)\.green\.1: starting \1 1\.2\.0 \(\1\.green\.1\): /,
    );
    expect(error?.message).to.include('no such table: users');
    expect((await fixture.supervisor.list()).map(({ name }) => name)).not.to.include('web.green.1');
    const healthy = await fixture.artefact('1.2.1');
    await up({ environment, kind: 'green', colour: { colour: 'green', artefact: healthy } });
  });

  it('see no drift where the idle database became a physical copy of the live one', async () => {
    const artefact = await fixture.artefact('1.2.1');
    const { databases } = await fixture.platform.connect(environment, fixture.spec, () => Promise.resolve({}));
    const [blue, green] = [await databases.of('blue'), await databases.of('green')];
    const before = pids(await fixture.supervisor.list());
    await withClient(blue, 'owner', (client) => client.query('CREATE TABLE copied AS SELECT 1 AS one'));
    await databases.clone?.('blue', 'green', {
      mayReplace: () => Promise.resolve(),
      cutOff: async () =>
        (
          await withClient(blue, 'admin', (client) =>
            row<{ lsn: string }>(client, 'SELECT pg_current_wal_lsn()::text AS lsn'),
          )
        ).lsn,
    });
    const copied = await withClient(green, 'owner', (client) => rows(client, 'SELECT one FROM copied'));
    expect(copied).to.deep.equal([{ one: 1 }]);
    expect(pids(await fixture.supervisor.list())).to.include({ 'database.blue': before['database.blue'] });
    expect(await fixture.engine.refresh({ environment, kind: 'green' })).to.deep.equal([]);
    const { changes } = await up({ environment, kind: 'green', colour: { colour: 'green', artefact } });
    expect(Object.keys(changes)).to.deep.equal(['same']);
  });

  it('show every promotion in the history of the traffic stack', async () => {
    await up({ environment, kind: 'traffic', split: { live: 'blue', percent: 10 } });
    await up({ environment, kind: 'traffic', split: { live: 'green', percent: 0 } });
    const { pulumiCommand, env, backendUrl } = fixture.platform.engine;
    const { stdout } = await execa(
      pulumiCommand,
      ['stack', 'history', '--json', '--stack', stackName(environment, 'traffic')],
      {
        cwd: join(fixture.home, 'engine'),
        env: {
          ...env,
          PULUMI_BACKEND_URL: backendUrl,
          PULUMI_HOME: join(fixture.home, 'engine', 'pulumi'),
          PULUMI_SKIP_UPDATE_CHECK: 'true',
        },
      },
    );
    const history = JSON.parse(stdout) as { config: Record<string, { value: string }>; kind: string }[];
    const splits = history
      .filter(({ kind }) => kind === 'update')
      .map(({ config }) => `${config['greenlight:live']?.value} ${config['greenlight:percent']?.value}`);
    expect(splits.slice(0, 3)).to.deep.equal(['green 0', 'blue 10', 'blue 0']);
  });

  it('leave no process, port or file behind when they are destroyed, except backups', async () => {
    const { layout, engine, platform } = fixture;
    const ports = layout.ports();
    const running = Object.values(pids(await fixture.supervisor.list()));
    await writeBackup(layout.backups());
    const result = await destroyEnvironment(engine, platform, environment, { keepBackups: true });
    expect(result.withoutEngine).to.deep.equal([]);
    expect(result.kept).to.deep.equal([layout.backups()]);
    expect(await readdir(layout.directory)).to.deep.equal(['backups']);
    for (const pid of running) expect(await isRunning(pid), `process ${pid}`).to.equal(false);
    for (const port of allPorts(ports)) expect(await isFree(port), `port ${port}`).to.equal(true);
    const { stdout } = await execa('ps', ['-eww', '-o', 'args=']);
    expect(stdout).not.to.include(fixture.home);
    expect(await engine.exists(environment, 'foundation')).to.equal(false);
    const again = await destroyEnvironment(engine, platform, environment, { keepBackups: false });
    expect(again.kept).to.deep.equal([]);
    expect(existsSync(layout.directory)).to.equal(false);
  });
});

const pids = (programs: { name: string; pid: number }[]): Record<string, number> =>
  Object.fromEntries(programs.map(({ name, pid }) => [name, pid]));

async function writeBackup(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'kept'), 'x');
}

/** Through the entry point, as a client does, trusting the environment's own authority alone. */
async function ask(url: string, { layout }: Fixture): Promise<Record<string, unknown>> {
  const { stdout } = await execa('curl', ['-sS', '--fail', '--max-time', '5', '--cacert', layout.caFile(), url]);
  return JSON.parse(stdout) as Record<string, unknown>;
}
