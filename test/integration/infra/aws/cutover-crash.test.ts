import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { connect, withClient } from '../../../../automation/data/connect.ts';
import { cutover } from '../../../../automation/data/cutover/cutover.ts';
import type { Side } from '../../../../automation/data/link.ts';
import { recoverCutover } from '../../../../automation/data/cutover/recover.ts';
import { startSync, waitForSync } from '../../../../automation/data/replication/sync.ts';
import { createClients, type Clients } from '../../../../infra/aws/runtime/client/clients.ts';
import { createAwsRouter } from '../../../../infra/aws/runtime/router/router.ts';
import { matchRules } from '../../../../infra/aws/runtime/router/rules.ts';
import { other, type Colour } from '../../../../infra/model.ts';
import type { Router } from '../../../../infra/platform/router.ts';
import { errorAnswer } from '../../../emulated-account/faults.ts';
import { startGateway, type Gateway } from '../../../emulated-account/gateway.ts';
import type { Call } from '../../../emulated-account/hooks.ts';
import { startMoto, type Moto } from '../../../emulated-account/moto.ts';
import { spec as specOf } from '../../../lib/declared.ts';
import type * as dying from '../../automation/data/cutover/dying-cutover.ts';
import { createRig, expand, schemaV1, type Rig } from '../../automation/data/rig.ts';
import { stateOf } from '../../automation/data/state.ts';
import { makeListener, routeSecret, type TestListener } from './listener.ts';

const spec = specOf('staging');
const settings = { holdMs: 60_000, drainMs: 2_000 };
const reading = ['DescribeRules', 'DescribeTags', 'DescribeTargetHealth'];
const changing = ['AddTags', 'SetRulePriorities', 'ModifyRule', 'RemoveTags'];
/** By its key the account knows the program that dies. */
const mortal = 'AKIADYING';

/** The nth call of an action, after which AWS hears no more of the program. `half`: while rules may send to both colours. */
interface Death {
  action: string;
  nth: number;
  half?: true;
}
const deaths: Death[] = [
  { action: 'AddTags', nth: 1 },
  { action: 'SetRulePriorities', nth: 1 },
  { action: 'AddTags', nth: 2, half: true },
  { action: 'ModifyRule', nth: 1, half: true },
  { action: 'ModifyRule', nth: 4, half: true },
  { action: 'ModifyRule', nth: 7, half: true },
  { action: 'ModifyRule', nth: 8, half: true },
  { action: 'AddTags', nth: 3 },
  { action: 'SetRulePriorities', nth: 2 },
  { action: 'RemoveTags', nth: 1 },
];

describe('a cutover on AWS that ends between two calls', function () {
  this.timeout(120_000);
  let moto: Moto;
  let gateway: Gateway;
  let clients: Clients;
  let dyingClients: Clients;
  let rig: Rig;
  let listener: TestListener;
  let counts: Record<string, number>;
  let death: Death | undefined;
  let dead: boolean;
  let onDeath: () => void;

  before(async () => {
    rig = await createRig();
    moto = await startMoto();
    gateway = await startGateway({ moto: moto.endpoint });
    const clientsOf = (accessKeyId: string) =>
      createClients({
        region: 'eu-central-1',
        endpoint: gateway.endpoint,
        credentials: { accessKeyId, secretAccessKey: 'emulated' },
      });
    clients = clientsOf('AKIAEMULATED');
    dyingClients = clientsOf(mortal);
    const isMortal = ({ headers }: Call) => headers['authorization']?.includes(mortal) === true;
    const gone = (call: Call) =>
      errorAnswer(call, {
        status: 403,
        code: 'ExpiredToken',
        message: 'The security token included in the request is expired',
      });
    const before = (call: Call) => Promise.resolve(dead && isMortal(call) ? gone(call) : undefined);
    const after = (call: Call) => {
      const { action } = call;
      counts[action] = (counts[action] ?? 0) + 1;
      if (!isMortal(call) || death?.action !== action || death.nth !== counts[action])
        return Promise.resolve(undefined);
      dead = true;
      onDeath();
      return Promise.resolve(gone(call));
    };
    gateway.use([
      { service: 'elasticloadbalancing', actions: reading, before },
      { service: 'elasticloadbalancing', actions: changing, before, after },
    ]);
  });
  after(async () => {
    for (const client of [clients, dyingClients].flatMap((c) => Object.values(c ?? {}) as { destroy(): void }[]))
      client.destroy();
    await gateway?.close();
    await moto?.close();
    await rig?.dispose();
  });

  /** Blue live with half of the reads on green, which follows. */
  beforeEach(async () => {
    death = undefined;
    onDeath = () => undefined;
    await rig.fresh(schemaV1);
    await expand(rig);
    await waitForSync(await startSync(rig.blue, rig.green), { timeoutMs: 30_000 });
    listener = await makeListener(clients, spec, { live: 'blue', percent: 50 });
    counts = {};
    dead = false;
  });

  const routerFor = (by: Clients): Router =>
    createAwsRouter({
      clients: by,
      foundation: { listenerArn: listener.listenerArn, baseUrl: 'https://127.0.0.1' },
      spec,
      routeSecret,
      probe: listener.probe,
      observeMs: 15_000,
      drainMs: 50,
    });

  /** In a program of its own, which is killed. */
  const killed = async (): Promise<void> => {
    const router = routerFor(dyingClients);
    const child = fork(join(import.meta.dirname, '../../automation/data/cutover/dying-cutover.ts'), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    onDeath = () => child.kill('SIGKILL');
    child.on('message', (message: dying.Call | { failure: string }) => {
      if ('failure' in message) return;
      const { id, method, args } = message;
      const asked = (router[method] as (...a: unknown[]) => Promise<unknown>).apply(router, args);
      void asked.then(
        (answer) => child.connected && child.send({ id, value: answer } satisfies dying.Answer, () => undefined),
        () => undefined,
      );
    });
    const order: dying.Order = {
      from: rig.blue,
      to: rig.green,
      direction: 'forward',
      holdMs: settings.holdMs,
      dieAfter: 'compare',
      signal: 'SIGKILL',
    };
    child.send(order);
    await once(child, 'exit');
    expect(dead, 'it died where it had to').to.equal(true);
  };

  /** The program lives on, and AWS refuses it. No change of its can settle then, so it does not wait for one. */
  const refused = async (): Promise<void> => {
    await cutover({
      router: { ...routerFor(dyingClients), settlesMs: 0 },
      from: rig.blue,
      to: rig.green,
      direction: 'forward',
      settings,
    }).catch(() => undefined);
    expect(dead, 'it was refused where it had to').to.equal(true);
  };

  const destination = (method: string, path: string, headers: Record<string, string> = {}) =>
    listener.probe({ method, path, headers });
  /** Both places of the hold rules are asked for: WebSockets, and every method that does not read. */
  const routes: Parameters<typeof destination>[] = [
    ['POST', '/api/x'],
    ['MKCOL', '/api/x'],
    ['GET', '/api/x', { upgrade: 'websocket' }],
    ['POST', '/x'],
    ['DELETE', '/x'],
    ['GET', '/x', { upgrade: 'websocket' }],
  ];

  /** What a user of each route gets: the keys that were acknowledged. */
  const write = async (mark: string): Promise<string[]> => {
    const acknowledged: string[] = [];
    for (const [index, request] of routes.entries()) {
      const { colour } = await destination(...request);
      if (colour === undefined) continue;
      const key = `${mark}-${index}`;
      const app = await connect(rig[colour as Colour].access, 'app');
      await app.query('INSERT INTO entries (key, account, amount) VALUES ($1, 1, 1)', [key]).then(
        () => acknowledged.push(key),
        () => undefined,
      );
      await app.end();
    }
    return acknowledged;
  };

  /** Lets the time of the lease pass; resolves to whether the fence has gone down by itself, as the function of AWS lowers it at the next write. */
  const endLease = async (): Promise<boolean> => {
    listener.later(2 * settings.holdMs);
    await destination('POST', '/x');
    return (await destination('POST', '/x')).fence === undefined;
  };

  const settled = async (acknowledged: string[]): Promise<void> => {
    const router = routerFor(clients);
    const recovery = await recoverCutover({ router, from: rig.blue, to: rig.green, direction: 'forward' });
    expect(recovery.problems).to.deep.equal([]);
    const { split, disagreeing, holdMs } = await router.read();
    const live = recovery.outcome === 'finished' ? 'green' : 'blue';
    expect({ split, disagreeing, holdMs }).to.deep.equal({
      split: { live, percent: live === 'green' ? 0 : 50 },
      disagreeing: undefined,
      holdMs: 0,
    });
    for (const request of routes) expect(await destination(...request)).to.deep.equal({ status: 200, colour: live });
    expect(matchRules(spec, await listener.rules()).up).to.deep.equal([]);
    const state = await stateOf(rig, router);
    expect(state).to.deep.include({
      phase: 'replicating',
      findings: [],
      writers: { [live]: true, [other(live)]: false },
    });
    const all = [...acknowledged, ...(await write('after'))];
    expect(all).to.have.length(acknowledged.length + routes.length);
    expect(await keysOn(rig[live])).to.include.members(all);
    // The other colour follows: the way back, or the next cutover, loses nothing either.
    for (let i = 0; i < 100 && (await keysOn(rig[other(live)])).length < all.length; i++) await sleep(50);
    expect(await keysOn(rig[other(live)])).to.have.members(await keysOn(rig[live]));
  };
  const keysOn = (side: Side): Promise<string[]> =>
    withClient(side.access, 'owner', async (client) =>
      (await client.query<{ key: string }>('SELECT key FROM entries ORDER BY key')).rows.map(({ key }) => key),
    );

  it('dies at each kind of call that a whole one makes', async () => {
    await cutover({ router: routerFor(dyingClients), from: rig.blue, to: rig.green, direction: 'forward', settings });
    expect(counts).to.deep.equal({ AddTags: 3, SetRulePriorities: 2, ModifyRule: 8, RemoveTags: 1 });
    await settled([]);
  });

  for (const where of deaths) {
    const name = `${where.action} ${where.nth}`;
    it(`is whole after a recovery: killed after ${name}`, async () => {
      death = where;
      await killed();
      await settled([]);
    });

    it(`keeps every write after a recovery that came when the lease had ended: killed after ${name}`, async () => {
      death = where;
      await killed();
      await withClient(rig.blue.access, 'admin', (client) =>
        client.query(
          `SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE application_name = 'greenlight-fence'`,
        ),
      );
      expect(await endLease()).to.equal(!where.half);
      const between = await write('between');
      expect(between).to.have.length(where.half ? 0 : routes.length);
      await settled(between);
    });

    it(`is whole after a recovery: refused after ${name}`, async () => {
      death = where;
      await refused();
      await endLease();
      await settled(await write('between'));
    });
  }
});
