import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { checkRelease } from '../../../../automation/config/load.ts';
import { gatesOf } from '../../../../automation/release/plan.ts';
import { findLive } from '../../../../automation/release/context/live.ts';
import { createEngine } from '../../../../automation/stacks/engine.ts';
import { findEnvironment } from '../../../../infra/local/runtime/found.ts';
import { storedTraffic } from '../../../../infra/local/haproxy/traffic-map.ts';
import { colourAccess } from '../../../../infra/local/postgres/databases.ts';
import { packageRoot, stateDirectory } from '../../../../infra/lib/paths.ts';
import { grantWrites } from '../../../../infra/application/roles.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';
import { query } from '../../infra/local/postgres/environment.ts';
import { createFixture, type Fixture } from './fixture.ts';

const environment = 'production';
const stackFile = (kind: string): string =>
  join(stateDirectory(), '.pulumi', 'stacks', 'greenlight', `${environment}-${kind}.json`);

describe('an environment that serves users while the engine’s state is lost or damaged', function () {
  this.timeout(120_000);
  let fixture: Fixture;
  let pids: Record<string, number>;

  const live = () => {
    const { platform } = fixture;
    const definition = checkRelease('shop.config.ts', validDefinition(), gatesOf);
    return findLive({ engine: createEngine(platform), platform, definition }, environment);
  };
  const refusal = (work: Promise<unknown>): Promise<string> =>
    work.then(
      (value) => `nothing was refused: ${JSON.stringify(value)}`,
      (error: Error) => `${error.name}: ${error.message}`,
    );
  const command = (args: string[], home = fixture.home) =>
    execa(process.execPath, ['automation/cli.ts', ...args, '--config', 'test/e2e/quick.config.ts'], {
      cwd: packageRoot,
      env: { GREENLIGHT_HOME: home, GREENLIGHT_PROJECT: packageRoot, CI: 'true' },
      all: true,
      reject: false,
      stdin: 'ignore',
    });
  const rowsOf = () => query(colourAccess(fixture.layout, 'blue'), 'app', 'SELECT count(*)::int AS n FROM paid');
  const runs = async () => Object.fromEntries((await fixture.supervisor.list()).map(({ name, pid }) => [name, pid]));

  /** Nothing was touched: the same processes, the same rows, and the application can write. */
  const unharmed = async () => {
    expect(await runs()).to.deep.equal(pids);
    const [{ n }] = (await rowsOf()) as [{ n: number }];
    expect(n).to.be.greaterThan(99);
    await query(colourAccess(fixture.layout, 'blue'), 'app', 'INSERT INTO paid DEFAULT VALUES');
  };
  const refusedEverywhere = async (wanted: RegExp) => {
    for (const args of [['release', '--dry-run'], ['release', '--yes', '--version', '2.0.0'], ['rehearse']]) {
      const { exitCode, all } = await command(args);
      expect(all, args.join(' '))
        .to.match(wanted)
        .and.include('this machine says: the balancer runs and sends writes to blue');
      expect(exitCode, args.join(' ')).to.equal(1);
    }
    const { exitCode, all } = await command(['status']);
    expect(all)
      .to.match(wanted)
      .and.match(/blue +\S+ +live +100 %/);
    expect(exitCode).to.equal(1);
    await unharmed();
  };

  before(async () => {
    fixture = await createFixture(environment);
    const { engine, spec } = fixture;
    await engine.up({ environment, kind: 'foundation', spec });
    await engine.up({ environment, kind: 'blue', colour: { colour: 'blue' } });
    const access = colourAccess(fixture.layout, 'blue');
    await query(
      access,
      'owner',
      'CREATE TABLE paid (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz DEFAULT now())',
    );
    await query(access, 'owner', 'INSERT INTO paid (at) SELECT now() FROM generate_series(1, 100)');
    await query(access, 'admin', grantWrites);
    const artefact = await fixture.artefact('1.0.0');
    await engine.up({ environment, kind: 'blue', colour: { colour: 'blue', artefact } });
    await engine.up({ environment, kind: 'traffic', split: { live: 'blue', percent: 0 } });
    pids = await runs();
  });
  after(() => fixture.dispose());

  it('is what both say while nothing is lost', async () => {
    expect(await live()).to.deep.include({ colour: 'blue' });
    const found = await findEnvironment(environment);
    expect(found).to.deep.include({ live: 'blue', databases: ['blue'], versions: { blue: '1.0.0' } });
    expect(await findEnvironment('staging')).to.deep.include({
      live: undefined,
      databases: [],
      versions: {},
      facts: [],
    });
  });

  for (const kind of ['blue', 'traffic', 'foundation']) {
    for (const percent of [0, 10, 60, 99]) {
      it(`is never a first go-live where the state of ${kind} is cut off at ${percent} %, and is whole again by the copy that the message names`, async () => {
        const file = stackFile(kind);
        const whole = await readFile(file);
        await truncate(file, Math.floor((whole.length * percent) / 100));
        const refused = await refusal(live());
        expect(refused)
          .to.match(/^UntrustedState/)
          .and.include(`${file} is ${percent === 0 ? 'empty' : 'damaged'}`);
        const [, from, to] = /copy (\S+) to (\S+);/.exec(refused) as unknown as [string, string, string];
        expect(to).to.equal(file);
        if (kind === 'blue' && percent === 60) await refusedEverywhere(/is damaged/);
        await copyFile(from, to);
        expect(await readFile(file)).to.deep.equal(whole);
        expect(await live()).to.deep.include({ colour: 'blue' });
      });
    }
  }

  it('is refused with both sides where the state folder is gone, and nothing is touched', async () => {
    const away = `${stateDirectory()}.away`;
    await rename(stateDirectory(), away);
    await refusedEverywhere(/the engine's state and what is there disagree[^]*says: nothing is recorded/);
    await rm(stateDirectory(), { recursive: true, force: true });
    await rename(away, stateDirectory());
    expect(await live()).to.deep.include({ colour: 'blue' });
  });

  for (const kind of ['blue', 'traffic', 'foundation']) {
    it(`is refused where all that was recorded of ${kind} is gone`, async () => {
      const away = `${stateDirectory()}.whole`;
      await execa('cp', ['-a', stateDirectory(), away]);
      await fixture.engine.forget(environment, kind as 'blue');
      const refused = await refusal(live());
      expect(refused)
        .to.match(/^UntrustedState/)
        .and.include('disagree');
      await rm(stateDirectory(), { recursive: true });
      await rename(away, stateDirectory());
      await unharmed();
    });
  }

  it('is refused where the passphrase is gone and the state is there, and makes no other one', async () => {
    const passphrase = join(fixture.home, 'passphrase');
    await rename(passphrase, `${passphrase}.away`);
    const { exitCode, all } = await command(['release', '--yes', '--version', '2.0.0']);
    expect([exitCode, all]).to.deep.include(1);
    expect(all).to.include(`${passphrase} is missing`);
    expect(existsSync(passphrase)).to.equal(false);
    await rename(`${passphrase}.away`, passphrase);
    await unharmed();
  });

  it('is left alone by a copy of the project that has its state', async () => {
    const copy = join(fixture.home, 'copy');
    await mkdir(copy);
    for (const part of ['state', 'passphrase']) await execa('cp', ['-a', join(fixture.home, part), copy]);
    for (const args of [
      ['release', '--yes'],
      ['destroy', '--yes', '--environment', environment],
    ]) {
      const { exitCode, all } = await command(args, copy);
      expect(exitCode, all).to.equal(1);
      expect(all).to.include(
        `belongs to the environment in ${fixture.layout.directory}: the project was moved or copied`,
      );
    }
    await unharmed();
  });

  it('keeps its live colour from being taken down, by the record and by the balancer’s file', async () => {
    const { engine } = fixture;
    expect(await refusal(engine.destroy({ environment, kind: 'blue' }))).to.include('it is live by the configuration');
    await unharmed();
    const away = `${stateDirectory()}.whole`;
    await execa('cp', ['-a', stateDirectory(), away]);
    await engine.forget(environment, 'traffic');
    const refused = await refusal(engine.destroy({ environment, kind: 'blue' }));
    expect(refused).to.include("blue is live, according to the balancer's traffic map");
    expect((await fixture.supervisor.state('database.blue'))?.pid).to.equal(pids['database.blue']);
    await rm(stateDirectory(), { recursive: true });
    await rename(away, stateDirectory());
    await engine.refresh({ environment, kind: 'blue' });
    await engine.up({
      environment,
      kind: 'blue',
      colour: { colour: 'blue', artefact: await fixture.artefact('1.0.0') },
    });
    pids = await runs();
    await unharmed();
  });

  it('initialises nothing where the marker of the live database is lost', async () => {
    const marker = join(fixture.layout.database('blue'), 'greenlight-cluster.json');
    const text = await readFile(marker);
    await rm(marker);
    const artefact = await fixture.artefact('1.0.0');
    await fixture.engine.refresh({ environment, kind: 'blue' });
    const refused = await refusal(
      fixture.engine.up({ environment, kind: 'blue', colour: { colour: 'blue', artefact } }),
    );
    expect(refused).to.include('is not a complete Greenlight cluster').and.include('{"cluster":"production-blue"}');
    await writeFile(marker, text);
    await fixture.engine.up({ environment, kind: 'blue', colour: { colour: 'blue', artefact } });
    await unharmed();
  });

  it('is taken down without its state by destroy, which says what is live, and keeps backups', async () => {
    await rm(stateDirectory(), { recursive: true });
    await mkdir(join(fixture.layout.backups(), '1'), { recursive: true });
    const { exitCode, all } = await command(['destroy', '--environment', environment, '--yes']);
    expect(exitCode, all).to.equal(0);
    expect(all).to.include('sends writes to blue').and.include('blue is live, and is deleted with its database');
    expect(all).to.include('production is gone. Kept: ').and.include(fixture.layout.backups());
    expect((await findEnvironment(environment)).facts).to.deep.equal([]);
    expect(await storedTraffic(fixture.layout.balancer())).to.equal(undefined);
  });
});
