import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { AddTagsCommand, ModifyRuleCommand, SetRulePrioritiesCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { expect } from 'chai';
import { createClients, maxAttempts, type Clients } from '../../../../../../infra/aws/runtime/client/clients.ts';
import { leaseTag } from '../../../../../../infra/aws/lib/routing-plan.ts';
import { underChange } from '../../../../../../infra/aws/runtime/router/fence-lease.ts';
import { createAwsRouter, type AwsRouterOptions } from '../../../../../../infra/aws/runtime/router/router.ts';
import { matchRules, targetsOf } from '../../../../../../infra/aws/runtime/router/rules.ts';
import { createTargetGroups } from '../../../../../../infra/aws/runtime/router/target-groups.ts';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import type { Router } from '../../../../../../infra/platform/router.ts';
import { errorAnswer } from '../../../../../emulated-account/faults.ts';
import type { Call } from '../../../../../emulated-account/hooks.ts';
import { startGateway, type Gateway } from '../../../../../emulated-account/gateway.ts';
import { startMoto, type Moto } from '../../../../../emulated-account/moto.ts';
import { routerContract } from '../../../../../contract/router.ts';
import { spec as specOf } from '../../../../../lib/declared.ts';
import { withoutBackoff } from '../../../../../lib/without-backoff.ts';
import { openEntry, type Entry } from '../../entry.ts';
import { makeListener, routeSecret, type TestListener } from '../../listener.ts';
import { userAgent } from '../../../../../../infra/lib/user-agent.ts';

const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
const spec = specOf('staging');

describe('the router of AWS', function () {
  this.timeout(120_000);
  let moto: Moto;
  let gateway: Gateway;
  let clients: Clients;
  before(async () => {
    moto = await startMoto();
    gateway = await startGateway({ moto: moto.endpoint });
    clients = createClients({ region: 'eu-central-1', endpoint: gateway.endpoint, credentials });
  });
  after(async () => {
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    await gateway.close();
    await moto.close();
  });
  afterEach(() => gateway.faults.clear());

  const routerOf = ({ listenerArn, probe }: TestListener, more: Partial<AwsRouterOptions> = {}): Router =>
    createAwsRouter({
      clients,
      foundation: { listenerArn, baseUrl: 'https://127.0.0.1:8443' },
      spec,
      routeSecret,
      probe,
      observeMs: 15_000,
      ...more,
    });
  const make = async (more: Partial<AwsRouterOptions> = {}) => {
    const listener = await makeListener(clients, spec, { live: 'blue', percent: 0 });
    return { listener, router: routerOf(listener, more) };
  };
  const failure = (promise: Promise<unknown>): Promise<OperationError> =>
    promise.then(
      () => expect.fail('it succeeded'),
      (error: unknown) => error as OperationError,
    );

  routerContract(async () => (await make()).router, { leaseMs: 3_000 });

  it('reads no split before the first go-live, and says what to do', async () => {
    const router = routerOf(await makeListener(clients, spec));
    const { split, holdMs, servers } = await router.read();
    expect({ split, holdMs }).to.deep.equal({ split: undefined, holdMs: 0 });
    expect(servers.filter(({ service }) => service === 'api')).to.deep.equal([
      { colour: 'blue', service: 'api', instance: 1, healthy: true },
      { colour: 'blue', service: 'api', instance: 2, healthy: true },
      { colour: 'green', service: 'api', instance: 1, healthy: true },
      { colour: 'green', service: 'api', instance: 2, healthy: true },
    ]);
    expect((await failure(router.apply({ live: 'blue', percent: 0 }))).found).to.contain('no rule for');
    await router.resumeWrites();
  });

  it('changes every rule of a split in full, and no other', async () => {
    const { listener, router } = await make();
    const before = await listener.rules();
    await router.apply({ live: 'blue', percent: 10 });
    const weights = (of: typeof before) =>
      of
        .map((rule) =>
          targetsOf(rule)
            .map(({ weight }) => weight)
            .join('/'),
        )
        .filter((text) => text.includes('/'));
    const after = await listener.rules();
    expect(weights(after)).to.deep.equal(['90/10', '90/10']);
    await router.apply({ live: 'green', percent: 0 });
    expect(JSON.stringify(await listener.rules())).not.to.contain('"Weight":0');
    expect(await listener.probe({ method: 'POST', path: '/api/x' })).to.deep.equal({ status: 200, colour: 'green' });
    await router.apply({ live: 'blue', percent: 0 });
    expect(await listener.rules()).to.deep.equal(before);
  });

  it('sees drift: what the rules say counts, not what was asked for', async () => {
    const { listener, router } = await make();
    const reads = (await listener.rules()).find(({ Conditions }) => {
      const text = JSON.stringify(Conditions);
      return Conditions?.length === 2 && text.includes('/api*') && text.includes('GET');
    });
    const [blue, green] = [listener.groups.blue['api'], listener.groups.green['api']];
    const TargetGroups = [
      { TargetGroupArn: blue, Weight: 3 },
      { TargetGroupArn: green, Weight: 1 },
    ];
    await clients.balancer.send(
      new ModifyRuleCommand({
        RuleArn: reads?.RuleArn,
        Actions: [{ Type: 'forward', ForwardConfig: { TargetGroups } }],
      }),
    );
    expect((await router.read()).split).to.deep.equal({ live: 'blue', percent: 25 });
  });

  it('knows whose the target groups are, though one of them has just gone', async () => {
    const { listener } = await make();
    const rules = await listener.rules();
    // As AWS answers; moto says nothing.
    const before = (call: Call) =>
      Promise.resolve(
        JSON.stringify(call.input).includes('targetgroup/gone')
          ? errorAnswer(call, {
              status: 400,
              code: 'TargetGroupNotFound',
              message: 'One or more target groups not found',
            })
          : undefined,
      );
    gateway.use([{ service: 'elasticloadbalancing', actions: ['DescribeTags'], before }]);
    const gone = listener.groups.blue['api']?.replace(/targetgroup\/.*/, 'targetgroup/gone/1');
    const preview = { Priority: '300', Actions: [{ Type: 'forward' as const, TargetGroupArn: gone }] };
    const found = await createTargetGroups(clients.balancer).of([preview, ...rules]);
    expect(found).to.have.length(4);
    expect(found.map(({ arn }) => arn)).not.to.include(gone);
  });

  it('puts back what it has changed once it is given up, and changes nothing later', async () => {
    const { router } = await make();
    const stop = new AbortController();
    let changed = 0;
    const before = () => {
      if ((changed += 1) === 2) stop.abort(new Error('given up'));
      return Promise.resolve(undefined);
    };
    gateway.use([{ service: 'elasticloadbalancing', actions: ['ModifyRule'], before }]);
    const error = await router.apply({ live: 'green', percent: 0 }, stop.signal).then(
      () => undefined,
      (reason: unknown) => reason as Error,
    );
    expect(error?.message).to.equal('given up');
    expect(changed).to.equal(4);
    const { split, disagreeing } = await router.read();
    expect([split, disagreeing]).to.deep.equal([{ live: 'blue', percent: 0 }, undefined]);
  });

  it('says so where AWS accepts a split and does not do it', async () => {
    const { router } = await make({ probe: () => Promise.resolve({ status: 200, colour: 'blue' }), observeMs: 200 });
    const error = await failure(router.apply({ live: 'green', percent: 0 }));
    expect(error.found).to.contain('AWS accepted the change, but it has no effect yet').and.to.contain('x blue');
  });

  it('says so where answers do not tell their colour', async () => {
    const { router } = await make({ probe: () => Promise.resolve({ status: 200 }), observeMs: 200 });
    const error = await failure(router.apply({ live: 'green', percent: 0 }));
    expect(error.found).to.contain('200 without x-greenlight-colour');
  });

  describe('holding writes', () => {
    const write = { method: 'POST', path: '/api/x' };
    /** What writes by no method: its hold rule has a place of its own. */
    const socket = { method: 'GET', path: '/api/x', headers: { upgrade: 'websocket' } };

    it('answers every write by the fence, in one call, and lets them go again', async () => {
      const { listener, router } = await make();
      const moves: number[] = [];
      gateway.use([
        {
          service: 'elasticloadbalancing',
          actions: ['SetRulePriorities'],
          before: ({ input }) =>
            Promise.resolve(void moves.push(Object.keys(input).filter((key) => key.endsWith('RuleArn')).length)),
        },
      ]);
      await router.hold(30_000);
      for (const one of [write, socket, { ...write, method: 'MKCOL' }])
        expect(await listener.probe(one)).to.deep.equal({ status: 503, fence: 'up' });
      expect((await listener.probe({ method: 'GET', path: '/api/x' })).colour).to.equal('blue');
      await router.resumeWrites();
      for (const one of [write, socket, { ...write, method: 'MKCOL' }])
        expect(await listener.probe(one)).to.deep.equal({ status: 200, colour: 'blue' });
      expect(moves).to.deep.equal([2, 2]);
      await router.resumeWrites();
      expect(moves).to.deep.equal([2, 2]);
    });

    it('takes writes for under way until the drain time has passed since the hold', async () => {
      let clock = Date.now();
      const { router } = await make({ now: () => clock, drainMs: 700 });
      expect(await router.writesInFlight('blue')).to.equal(0);
      await router.hold(30_000);
      expect(await router.writesInFlight('blue')).to.equal(1);
      clock += 700;
      expect(await router.writesInFlight('blue')).to.equal(0);
      await router.resumeWrites();
    });

    it('that nobody releases ends with the lease: one more 503, then the live colour', async () => {
      const { listener, router } = await make();
      await router.hold(30_000);
      listener.later(60_000);
      expect(await listener.probe(socket)).to.deep.equal({ status: 503, fence: 'lowered' });
      for (const one of [write, socket])
        expect(await listener.probe(one)).to.deep.equal({ status: 200, colour: 'blue' });
      const another = routerOf(listener);
      expect((await another.read()).holdMs).to.equal(0);
      await another.hold(120_000);
      expect((await another.read()).holdMs).to.be.above(100_000);
      await another.resumeWrites();
    });

    it('lasts as long as it was asked for, though the clock of this machine is wrong', async () => {
      const real = Date.now;
      for (const skewMs of [-3_600_000, 3_600_000]) {
        const { listener, router } = await make();
        Date.now = () => real() + skewMs;
        try {
          // The function has AWS's clock.
          listener.later(-skewMs);
          await router.hold(30_000);
          expect((await router.read()).holdMs).to.be.within(10_000, 30_000);
          expect(await listener.probe(write)).to.deep.equal({ status: 503, fence: 'up' });
          listener.later(35_000);
          expect(await listener.probe(write)).to.deep.equal({ status: 503, fence: 'lowered' });
          await router.resumeWrites();
        } finally {
          Date.now = real;
        }
      }
    });

    describe('whose lease has ended does not let writes go to the other colour, as rules change one by one', () => {
      const green = { live: 'green', percent: 0 } as const;
      const refused = async (listener: TestListener, router: Router) => {
        expect((await failure(router.apply(green))).found).to.contain('the lease of the write hold has expired');
        for (const path of ['/x', '/api/x']) {
          const { colour = 'the fence' } = await listener.probe({ method: 'POST', path });
          expect(colour).to.be.oneOf(['blue', 'the fence']);
        }
        await router.resumeWrites();
        await router.apply(green);
        expect((await router.read()).split).to.deep.equal(green);
      };

      it('where the fence is down', async () => {
        const { listener, router } = await make();
        await router.hold(30_000);
        listener.later(60_000);
        expect(await listener.probe(write)).to.deep.equal({ status: 503, fence: 'lowered' });
        await refused(listener, router);
      });

      it('where it goes down when they are about to change', async () => {
        const { listener, router } = await make();
        await router.hold(30_000);
        let met = 0;
        const before = async ({ input }: Call) => {
          if (!JSON.stringify(input).includes(underChange) || met++ > 0) return undefined;
          listener.later(60_000);
          expect(await listener.probe(write)).to.deep.equal({ status: 503, fence: 'lowered' });
          return undefined;
        };
        gateway.use([{ service: 'elasticloadbalancing', actions: ['AddTags'], before }]);
        await refused(listener, router);
        expect(met).to.equal(1);
      });

      it('where it is up, as no write came: one that is looked at now lowers it', async () => {
        const { listener, router } = await make();
        await router.hold(30_000);
        const ResourceArns = matchRules(spec, await listener.rules()).up.flatMap(({ RuleArn }) => RuleArn ?? []);
        await clients.balancer.send(
          new AddTagsCommand({ ResourceArns, Tags: [{ Key: leaseTag, Value: String(Date.now()) }] }),
        );
        await refused(listener, router);
      });
    });

    for (const stays of [0, 1])
      it(`of which somebody has lowered a rule, and not that of place ${stays}, moves no write, and becomes whole again`, async () => {
        const { listener, router } = await make();
        const green = { live: 'green', percent: 0 } as const;
        const { fence } = matchRules(spec, await listener.rules());
        const down = fence[1 - stays];
        await router.hold(30_000);
        const RulePriorities = [{ RuleArn: down?.RuleArn, Priority: Number(down?.Priority) }];
        await clients.balancer.send(new SetRulePrioritiesCommand({ RulePriorities }));
        // The program that held them, and one that comes after it.
        for (const one of [router, routerOf(listener)]) {
          expect((await failure(one.apply(green))).found).to.contain('only some rules of the write hold are on');
          expect((await one.read()).split).to.deep.equal({ live: 'blue', percent: 0 });
          expect((await one.read()).holdMs).to.be.above(0);
        }
        await router.hold(30_000);
        for (const one of [write, socket])
          expect(await listener.probe(one)).to.deep.equal({ status: 503, fence: 'up' });
        await router.apply(green);
        await clients.balancer.send(new SetRulePrioritiesCommand({ RulePriorities }));
        listener.later(60_000);
        expect(await listener.probe(stays === 0 ? socket : write)).to.deep.equal({ status: 503, fence: 'lowered' });
        for (const one of [write, socket])
          expect(await listener.probe(one)).to.deep.equal({ status: 200, colour: 'green' });
      });

    it('that is not seen at the entry point is taken back', async () => {
      const { listener } = await make();
      const blind = routerOf(listener, { probe: () => Promise.resolve({ status: 404 }), observeMs: 200 });
      expect((await failure(blind.hold(30_000))).found).to.contain('AWS accepted the change, but it has no effect yet');
      expect(await listener.probe(write)).to.deep.equal({ status: 200, colour: 'blue' });
    });
  });

  describe('when AWS has trouble', () => {
    it('repeats what was throttled or failed, and a change whose answer was lost', async () => {
      const { router } = await make();
      for (const kind of ['throttling', 'internal', 'answer-lost'] as const)
        gateway.faults.add({ kind, service: 'elasticloadbalancing', action: 'ModifyRule', times: 1 });
      gateway.faults.add({ kind: 'throttling', service: 'elasticloadbalancing', action: 'DescribeRules', times: 2 });
      await router.apply({ live: 'green', percent: 0 });
      expect((await router.read()).split).to.deep.equal({ live: 'green', percent: 0 });
    });

    it('gives up after the bounded number of attempts, with all rules as they were', async () => {
      const { listener, router } = await make();
      const before = await listener.rules();
      let calls = 0;
      // The third rule cannot be changed; putting back can.
      gateway.use([
        {
          service: 'elasticloadbalancing',
          actions: ['ModifyRule'],
          before: () =>
            Promise.resolve(
              void (
                ++calls === 2 &&
                gateway.faults.add({
                  kind: 'throttling',
                  service: 'elasticloadbalancing',
                  action: 'ModifyRule',
                  times: maxAttempts,
                })
              ),
            ),
        },
      ]);
      const error = await withoutBackoff(() => failure(router.apply({ live: 'green', percent: 0 })));
      expect(error).to.be.instanceOf(OperationError);
      expect(error.found).to.contain('Throttling');
      expect(error.todo).to.contain('throttled the calls for too long: wait a few minutes');
      expect(await listener.rules()).to.deep.equal(before);
    });

    it('names an expired login', async () => {
      const { router } = await make();
      gateway.faults.add({ kind: 'expired-token', service: 'elasticloadbalancing' });
      expect((await failure(router.read())).todo).to.contain('aws sso login');
    });
  });
});

describe('the router of AWS, through a balancer that runs', function () {
  this.timeout(120_000);
  let entry: Entry;
  before(async () => {
    // So long does a change take until requests notice it.
    entry = await openEntry({ live: 'blue', percent: 0 }, { balancer: { propagationMs: 400 } });
  });
  after(async () => {
    const errors = entry.account.errors();
    await entry.close();
    expect(errors).to.deep.equal([]);
  });

  const make = (): Router => {
    const { clients, listener, baseUrl, caFile } = entry;
    const foundation = { listenerArn: listener.listenerArn, baseUrl };
    return createAwsRouter({ clients, foundation, spec, routeSecret, caFile, observeMs: 15_000 });
  };
  const ask = createAsking(() => entry);

  routerContract(() => Promise.resolve(make()), {
    leaseMs: 4_000,
    send: async (method, headers) => Number((await ask(method, '/api/x', headers)).split(' ')[0]),
  });

  it('is done with a split when it is seen, not when it is accepted', async () => {
    const router = make();
    await router.apply({ live: 'green', percent: 0 });
    expect(await Promise.all(Array.from({ length: 20 }, () => ask('GET', '/api/x')))).to.deep.equal(
      Array(20).fill('200 green'),
    );
    expect(await ask('POST', '/api/x')).to.equal('200 green');
    await router.apply({ live: 'blue', percent: 0 });
    expect(await ask('GET', '/')).to.equal('200 blue');
  });

  it('is done with a hold when every write is held, and none of its own reaches the application', async () => {
    const router = make();
    entry.heard.length = 0;
    await router.hold(30_000);
    expect(await Promise.all(['POST', 'PUT', 'PATCH', 'DELETE'].map((method) => ask(method, '/api/x')))).to.deep.equal(
      Array(4).fill('503 fence'),
    );
    expect(await ask('GET', '/api/x')).to.equal('200 blue');
    await router.resumeWrites();
    expect(await ask('POST', '/api/x')).to.equal('200 blue');
    const { heard } = entry;
    expect(heard.filter(({ method }) => method !== 'GET')).to.deep.equal([
      { colour: 'blue', method: 'POST', path: '/api/x' },
    ]);
  });

  it('routes by header, also while writes are held', async () => {
    const router = make();
    await router.hold(30_000);
    expect(await ask('POST', '/api/x', router.entry.routeHeaders('green'))).to.equal('200 green');
    await router.resumeWrites();
  });
});

/** Status, and who answered. */
function createAsking(entry: () => Entry) {
  return async (method: string, path: string, headers: Record<string, string> = {}): Promise<string> => {
    const { baseUrl, caFile } = entry();
    const ca = await readFile(caFile);
    return new Promise((resolve, reject) => {
      const asked = request(
        new URL(path, baseUrl),
        { method, headers: { ...userAgent, ...headers }, agent: false, ca },
        (answer) => {
          answer.resume();
          const fence = answer.headers['x-greenlight-fence'] === undefined ? undefined : 'fence';
          resolve(`${answer.statusCode} ${fence ?? String(answer.headers['x-greenlight-colour'])}`);
        },
      );
      asked.on('error', reject);
      asked.end();
    });
  };
}
