import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { createCluster, dataDirectory, serverPid, startCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { discardCluster } from '../../../../../infra/local/postgres/discard.ts';
import { controlOf } from '../../../../lib/server-control.ts';
import { openDatabaseEnvironment, query, rejection, type DatabaseEnvironment } from './environment.ts';

describe('what is left of a database that cannot be brought up', () => {
  let environment: DatabaseEnvironment;
  beforeEach(async () => {
    environment = await openDatabaseEnvironment('blue');
  });
  afterEach(() => environment.close());

  const discard = () => environment.databases.discard?.('blue');
  const left = async (): Promise<string[]> => {
    const { directory } = environment.cluster.blue;
    return (await readdir(dirname(directory))).filter((name) => name.startsWith(basename(directory)));
  };
  /** An empty one takes its place. */
  const again = async (): Promise<void> => {
    await createCluster(environment.cluster.blue, { durable: false });
    await startCluster(environment.cluster.blue);
    const access = await environment.databases.of('blue');
    expect(await query(access, 'admin', 'SELECT 1 AS one')).to.deep.equal([{ one: 1 }]);
  };

  it('is removed with its server, whatever is missing of it, and once more', async () => {
    await rm(join(dataDirectory(environment.cluster.blue), 'global'), { recursive: true });
    await discard();
    expect(await left()).to.deep.equal([]);
    await discard();
    await again();
  });

  it('is removed where the data directory is gone', async () => {
    await controlOf(environment.cluster.blue).stop();
    await rm(dataDirectory(environment.cluster.blue), { recursive: true });
    await discard();
    await again();
  });

  it('is left alone where it is marked as another, or as nobody’s', async () => {
    const { directory } = environment.cluster.blue;
    const other = { ...environment.cluster.blue, name: 'staging-green' };
    expect((await rejection(discardCluster(other, controlOf(other)))).message).to.contain('marked as staging-blue');
    const marker = join(directory, 'greenlight-cluster.json');
    await rm(marker);
    expect((await rejection(Promise.resolve(discard()))).message).to.contain('has no valid greenlight-cluster.json');
    await writeFile(marker, '{"cluster":"staging-blue"}');
    expect(await serverPid(environment.cluster.blue)).to.be.a('number');
  });
});
