import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { EventCollector } from '../../../../automation/stacks/events.ts';
import { deadLocks, removeLocks } from '../../../../automation/stacks/recovery.ts';
import { lockDirectory } from '../../../../automation/stacks/state.ts';
import { databaseUrl } from '../../../../infra/application/database-url.ts';
import { Layout } from '../../../../infra/local/lib/layout.ts';
import { allocatePorts, allPorts, preferredPort } from '../../../../infra/local/supervisor/ports.ts';
import { freePorts, isFree } from '../../../../infra/lib/free-ports.ts';
import { directoryStateFiles } from '../../../../infra/local/runtime/state-files.ts';
import { resolveSecrets, secretReference } from '../../../../infra/local/provider/secret-reference.ts';
import type { EngineSettings } from '../../../../infra/platform/engine.ts';
import { fromPulumiConfig, toPulumiConfig, type StackConfig } from '../../../../infra/stacks.ts';

const engineSettings: Omit<EngineSettings, 'backendUrl' | 'state'> = {
  secretsProvider: 'passphrase',
  stackConfig: () => ({}),
  policyPacks: [],
  idOf: () => undefined,
  volatile: {},
  env: {},
  pulumiCommand: '',
  plugins: [],
};

describe('configuration of stacks', () => {
  const split: StackConfig = { kind: 'traffic', split: { live: 'green', percent: 10 } };

  it('is read back as it was written', () => {
    const artefact = { version: '1.0.0', digest: 'sha256:x', location: '/a' };
    const all: StackConfig[] = [
      split,
      { kind: 'blue', colour: { colour: 'blue', artefact } },
      { kind: 'green', colour: { colour: 'green' } },
    ];
    for (const config of all) {
      const values = toPulumiConfig('local', config);
      expect(fromPulumiConfig(config.kind, (key) => values[`greenlight:${key}`] as string)).to.deep.equal(config);
    }
  });

  it('shows a promotion in plain values', () => {
    expect(toPulumiConfig('local', split)).to.include({ 'greenlight:live': 'green', 'greenlight:percent': '10' });
  });

  it('is refused where a person wrote what cannot be', () => {
    const read = (values: Record<string, string>) => () => fromPulumiConfig('traffic', (key) => values[key] ?? '');
    expect(read({ live: 'red', percent: '10' })).to.throw('greenlight:live is "red"');
    for (const percent of ['101', '-1', 'NaN', '1.5'])
      expect(read({ live: 'blue', percent })).to.throw(`greenlight:percent is "${percent}"`);
    expect(() => fromPulumiConfig('green', () => '{"colour":"blue"}')).to.throw('this is the stack of green');
  });
});

describe('ports', () => {
  const wanted = { services: { api: 2, web: 1 }, integrations: ['bank'] };

  it('are all different, and stay when more are wanted', async () => {
    const first = await allocatePorts(wanted, preferredPort('/one'));
    expect(new Set(allPorts(first)).size).to.equal(15);
    const more = await allocatePorts({ ...wanted, services: { api: 3, web: 1 } }, preferredPort('/one'), first);
    expect(more.instances.blue['api']?.slice(0, 2)).to.deep.equal(first.instances.blue['api']);
    expect(new Set(allPorts(more)).size).to.equal(17);
    expect(more.https).to.equal(first.https);
  });

  it('skip one that is taken, and refuse the entry port where it is', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const taken = (server.address() as AddressInfo).port;
    try {
      expect(await isFree(taken)).to.equal(false);
      expect(allPorts(await allocatePorts(wanted, taken))).not.to.include(taken);
      const message = await allocatePorts({ ...wanted, https: taken }, taken).then(
        () => '',
        (error: Error) => error.message,
      );
      expect(message)
        .to.match(new RegExp(`port ${taken} is taken by (process ${process.pid}|another program)`))
        .and.include('environments.<name>.port');
    } finally {
      server.close();
    }
  });

  it('that are free for a command are different', async () => {
    expect(new Set(await freePorts(5)).size).to.equal(5);
  });
});

describe('references to secrets', () => {
  it('survive a database URL and become the secret in the end', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'greenlight-secret-'));
    const layout = new Layout('staging', directory);
    await mkdir(join(directory, 'secrets'));
    await writeFile(layout.secretFile('blue-app'), 'S3-cr_et\n');
    const login = { user: 'app', password: secretReference('blue-app') };
    const url = databaseUrl(
      { host: 'h', port: 1, database: 'd', caFile: '/ca', admin: login, owner: login, app: login },
      'app',
    );
    expect(resolveSecrets(layout, url)).to.include('app:S3-cr_et@h');
    expect(() => resolveSecrets(layout, secretReference('route'))).to.throw('is missing');
    await rm(directory, { recursive: true });
  });
});

describe('locks of the file backend', () => {
  it('go when their process is dead, and stay when they are not understood to be', async () => {
    const home = await mkdtemp(join(tmpdir(), 'greenlight-locks-'));
    const settings = { ...engineSettings, backendUrl: pathToFileURL(home).href, state: directoryStateFiles(home) };
    const directory = join(home, lockDirectory('staging-blue'));
    await mkdir(directory, { recursive: true });
    const lock = (pid: number, host = hostname()) =>
      writeFile(
        join(directory, `${host}-${pid}.json`),
        JSON.stringify({ pid, username: 'u', hostname: host, timestamp: 't' }),
      );
    expect(await deadLocks(settings, 'staging-green')).to.deep.equal([]);
    await lock(2 ** 22 + 1);
    await writeFile(join(directory, 'cut-off.json'), '{"pid": 1');
    const dead = await deadLocks(settings, 'staging-blue');
    expect(dead).to.have.length(2);
    await removeLocks(settings, dead);
    expect(await readdir(directory)).to.deep.equal([]);
    await lock(2 ** 22 + 1, 'elsewhere');
    const message = await deadLocks(settings, 'staging-blue').then(
      () => '',
      (error: Error) => error.message,
    );
    expect(message).to.include('on elsewhere');
    await rm(home, { recursive: true });
  });
});

describe('errors of the engine', () => {
  const diagnostic = (message: string, urn = '') => ({
    sequence: 1,
    timestamp: 1,
    diagnosticEvent: { urn, prefix: '', color: '', severity: 'error' as const, message, isEphemeral: false },
  });

  it("name the resource and give the provider's words and cure", () => {
    const events = new EventCollector('staging-blue', undefined);
    events.add(diagnostic('starting api.blue.1: it exits\n  look at its log\n', 'urn:pulumi:s::p::t::api.blue.1'));
    events.add(diagnostic('update failed'));
    const error = events.error('applying the stack staging-blue', new Error('x'), '/log');
    expect(error.found).to.equal('api.blue.1: starting api.blue.1: it exits');
    expect(error.todo).to.equal('look at its log');
  });

  it('fall back to the last words of the engine', () => {
    const events = new EventCollector('staging-blue', undefined);
    const cause = new Error('code: 255\n stdout: \n stderr: error: something else\n');
    expect(events.error('doing', cause, '/log').message).to.equal('doing: something else\n  see /log');
    expect(events.error('doing', new Error('error: incorrect passphrase'), '/log').found).to.include('passphrase');
  });
});
