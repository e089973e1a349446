import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Layout } from '../../../../../infra/local/lib/layout.ts';
import { createCluster, serverPid, startCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { createLocalDatabases } from '../../../../../infra/local/postgres/databases.ts';
import { databasesContract } from '../../../../contract/databases.ts';
import { controlOf } from '../../../../lib/server-control.ts';
import { openDatabaseEnvironment, rejection, unusedPort, type DatabaseEnvironment } from './environment.ts';

databasesContract('local', 'physical', async () => {
  const { databases, close } = await openDatabaseEnvironment('blue', 'green');
  return { databases, close };
});

describe('local scratch clusters', () => {
  let environment: DatabaseEnvironment;
  before(async () => {
    environment = await openDatabaseEnvironment();
  });
  after(() => environment.close());

  it('that a crashed run left, running or half-made, are removed by the next one', async () => {
    const { layout, cluster, databases } = environment;
    // The id of a process that has been, and is gone.
    const gone = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim();
    const leftover = {
      ...cluster.blue,
      directory: join(layout.scratch(), `restore-${gone}-0123abcd`),
      port: await unusedPort(),
    };
    await createCluster(leftover, { durable: false });
    await startCluster(leftover);
    const pid = await serverPid(leftover);
    await mkdir(join(layout.scratch(), `restore-${gone}-89abcdef.new-Xy12`));
    const scratch = await databases.scratch('next');
    try {
      const names = await readdir(layout.scratch());
      expect(names).to.have.lengthOf(1);
      expect(names[0]).to.match(new RegExp(`^next-${process.pid}-`));
      expect(() => process.kill(pid ?? 0, 0)).to.throw(/ESRCH/);
    } finally {
      await scratch.dispose();
    }
    expect(await readdir(layout.scratch())).to.deep.equal([]);
  });

  it('leave nothing behind when they cannot start', async () => {
    const { layout, databases } = environment;
    const certificates = layout.certificates();
    await rename(certificates, `${certificates}.away`);
    try {
      await rejection(databases.scratch('broken'));
      expect(await readdir(layout.scratch())).to.deep.equal([]);
    } finally {
      await rename(`${certificates}.away`, certificates);
    }
  });

  it('end with the program that uses them, even when it is killed', async function () {
    if (process.platform !== 'linux') this.skip();
    const { layout, spec, databases } = environment;
    const module = (path: string): string =>
      JSON.stringify(new URL(`../../../../../infra/local/${path}`, import.meta.url).href);
    const program = `
      import { Layout } from ${module('lib/layout.ts')};
      import { createLocalDatabases } from ${module('postgres/databases.ts')};
      const layout = new Layout('staging', process.argv[1]);
      await createLocalDatabases(layout, JSON.parse(process.argv[2])).scratch('killed');
      process.kill(process.pid, 'SIGKILL');`;
    const killed = (): unknown =>
      execFileSync(process.execPath, ['--input-type=module', '-e', program, layout.directory, JSON.stringify(spec)], {
        stdio: 'pipe',
      });
    expect(killed).to.throw();
    const [name = ''] = await readdir(layout.scratch());
    expect(name).to.match(/^killed-/);
    while ((await serverPid({ directory: join(layout.scratch(), name) })) !== undefined)
      await new Promise((r) => setTimeout(r, 10));
    await (await databases.scratch('after')).dispose();
    expect(await readdir(layout.scratch())).to.deep.equal([]);
  });

  it('say what is missing in an environment that is not up', async () => {
    const layout = new Layout('staging', join(dirname(environment.layout.directory), 'nothing'));
    const unused = () => controlOf(environment.cluster.blue);
    const error = await rejection(createLocalDatabases(layout, environment.spec, unused).of('blue'));
    expect(error.message).to.match(/bring its foundation up/);
  });
});
