import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describeListener } from '../../../../../infra/lib/listener.ts';
import { ports as portsHandler } from '../../../../../infra/local/provider/ports.ts';
import { takenEntryPorts } from '../../../../../infra/local/runtime/entry-ports.ts';
import { allPorts } from '../../../../../infra/local/supervisor/ports.ts';
import { inTurn, reservedPorts } from '../../../../../infra/local/supervisor/reserved-ports.ts';
import { eachWithOwnHome } from '../../../../lib/own-home.ts';

describe('ports of several applications on one machine', () => {
  eachWithOwnHome();
  let root: string;
  let server: Server | undefined;
  const before = process.env['XDG_STATE_HOME'];
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'greenlight-ports-'));
    process.env['XDG_STATE_HOME'] = join(root, 'state');
  });
  afterEach(async () => {
    if (before === undefined) delete process.env['XDG_STATE_HOME'];
    else process.env['XDG_STATE_HOME'] = before;
    server?.close();
    server = undefined;
    await rm(root, { recursive: true, force: true });
  });

  const wanted = { services: { web: 2 }, integrations: [] };
  /** An environment as the foundation asks for its ports. */
  const place = (name: string) => ({ environment: 'production' as const, directory: join(root, name), ...wanted });
  const listen = async (port = 0): Promise<number> => {
    const made = createServer();
    server = made;
    await new Promise<void>((resolve, reject) => made.once('error', reject).listen(port, '127.0.0.1', resolve));
    return (made.address() as AddressInfo).port;
  };
  const messageOf = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'it was allowed',
      (error: Error) => error.message,
    );

  it('are different, though nothing listens yet, also where all begin at once', async () => {
    const made = await Promise.all(['one', 'two', 'three'].map((name) => portsHandler.create(place(name))));
    const all = made.flatMap(({ ports }) => allPorts(ports));
    expect(new Set(all).size).to.equal(all.length);
  });

  it('stay out of those that another application has for its inactive colour, when one more is wanted', async () => {
    const first = await portsHandler.create(place('one'));
    const blocks = allPorts(first.ports);
    // The ports after those of the first application are free, and it has reserved one of them.
    const next = Math.max(...blocks) + 1;
    await mkdir(join(root, 'two'));
    await writeFile(join(root, 'two', 'ports.json'), JSON.stringify({ later: next }));
    await mkdir(join(root, 'state/greenlight/environments'), { recursive: true });
    await writeFile(join(root, 'state/greenlight/environments/two'), join(root, 'two'));
    const more = { ...place('one'), services: { web: 3 } };
    const { ports } = await portsHandler.update(more, { ...place('one'), ports: first.ports });
    expect(ports.instances.blue['web']).to.have.length(3);
    expect(allPorts(ports)).not.to.include(next);
    expect(allPorts(ports)).to.include.members(blocks);
  });

  it('are free again once an environment is deleted, or its folder is gone', async () => {
    const one = await portsHandler.create(place('one'));
    await portsHandler.create(place('two'));
    expect([...(await reservedPorts(join(root, 'three'))).keys()]).to.include.members(allPorts(one.ports));
    await portsHandler.delete({ ...place('one'), ...one });
    await rm(join(root, 'two'), { recursive: true });
    expect((await reservedPorts(join(root, 'three'))).size).to.equal(0);
    expect(await readdir(join(root, 'state/greenlight/environments'))).to.deep.equal([]);
  });

  it('of entry points are refused by name before anything is changed: one that another application has', async () => {
    const { ports } = await portsHandler.create(place('one'));
    const found = await takenEntryPorts({ production: ports.https });
    expect(found).to.have.length(1);
    expect(found[0]).to.include(
      `port ${ports.https} of production is taken by the environment in ${join(root, 'one')}`,
    );
    expect(found[0]).to.include('environments.<name>.port');
    const message = await messageOf(portsHandler.create({ ...place('two'), https: ports.https }));
    expect(message).to.include(`port ${ports.https} is taken by the environment in ${join(root, 'one')}`);
  });

  it('of entry points are refused by name where another program listens', async () => {
    const port = await listen();
    const [found] = await takenEntryPorts({ staging: port });
    const who = process.platform === 'linux' ? `process ${process.pid}` : 'another program';
    expect(found).to.include(`port ${port} of staging is taken by ${who}`);
    expect(describeListener(port)).to.include(who);
  });

  it('of entry points are kept until the release ends, and not refused to it', async () => {
    const port = await listen();
    await new Promise((resolve) => server?.close(resolve));
    expect(await takenEntryPorts({ production: port })).to.deep.equal([]);
    expect(await takenEntryPorts({ production: port })).to.deep.equal([]);
    expect(await takenEntryPorts({})).to.deep.equal([]);
  });

  it('are allocated one after the other', async () => {
    let inside = 0;
    const most: number[] = [];
    const work = async () => {
      inside += 1;
      most.push(inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    await Promise.all([inTurn(work), inTurn(work), inTurn(work)]);
    expect(most).to.deep.equal([1, 1, 1]);
  });
});
