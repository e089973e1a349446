import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createClients, type Clients } from '../../../../../../infra/aws/runtime/client/clients.ts';
import { createAwsRouter } from '../../../../../../infra/aws/runtime/router/router.ts';
import type { Call } from '../../../../../emulated-account/hooks.ts';
import { startGateway, type Gateway } from '../../../../../emulated-account/gateway.ts';
import { startMoto, type Moto } from '../../../../../emulated-account/moto.ts';
import { spec as specOf } from '../../../../../lib/declared.ts';
import { makeListener, routeSecret } from '../../listener.ts';

const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
const spec = specOf('staging');

describe('the router of AWS, refusing writes', function () {
  this.timeout(120_000);
  let moto: Moto;
  let gateway: Gateway;
  let clients: Clients;
  let calls: string[];
  before(async () => {
    moto = await startMoto();
    gateway = await startGateway({ moto: moto.endpoint });
    clients = createClients({ region: 'eu-central-1', endpoint: gateway.endpoint, credentials });
    const actions = ['DescribeRules', 'DescribeTags', 'AddTags', 'RemoveTags', 'ModifyRule', 'SetRulePriorities'];
    const before = ({ action }: Call) => Promise.resolve(void calls.push(action));
    gateway.use([{ service: 'elasticloadbalancing', actions, before }]);
  });
  after(async () => {
    for (const client of Object.values(clients ?? {}) as { destroy(): void }[]) client.destroy();
    await gateway?.close();
    await moto?.close();
  });

  const make = async () => {
    const listener = await makeListener(clients, spec, { live: 'blue', percent: 0 });
    const { listenerArn } = listener;
    let probes = 0;
    const router = createAwsRouter({
      clients,
      foundation: { listenerArn, baseUrl: 'https://127.0.0.1:8443' },
      spec,
      routeSecret,
      probe: (request) => {
        probes += 1;
        return listener.probe(request);
      },
    });
    calls = [];
    return {
      listener,
      router,
      /** What has been called since the last time, and how many probes were sent. */
      done: () => [calls.splice(0).join(' '), [probes, (probes = 0)][0]],
    };
  };
  const write = { method: 'POST', path: '/api/x' };
  const renewal = 'DescribeRules DescribeTags AddTags';

  it('renews in three calls and without a probe, while the lease has not ended', async () => {
    const { listener, router, done } = await make();
    await router.refuse(30_000);
    done();
    for (let i = 0; i < 3; i += 1) {
      await router.refuse(30_000);
      expect(done()).to.deep.equal([renewal, 0]);
    }
    expect(await listener.probe(write)).to.deep.equal({ status: 503, fence: 'up' });
    await router.resumeWrites();
  });

  it('begins anew where the lease has ended: the rules are set, and seen at the entry point', async () => {
    const { listener, router, done } = await make();
    await router.refuse(30_000);
    listener.later(60_000);
    expect(await listener.probe(write)).to.deep.equal({ status: 503, fence: 'lowered' });
    expect((await listener.probe(write)).status).to.equal(200);
    done();
    await router.refuse(120_000);
    const [called, probes] = done();
    expect(called).to.match(new RegExp(`^${renewal} SetRulePriorities`));
    expect(probes).to.be.above(0);
    expect((await listener.probe(write)).status).to.equal(503);
    await router.resumeWrites();
  });

  it('is not taken for renewed where the lease ended and no write came, as the function may be ending it right now', async () => {
    const { router, done } = await make();
    await router.refuse(2_000);
    while ((await router.read()).holdMs > 0) await sleep(100);
    done();
    await router.refuse(30_000);
    expect(done()[1]).to.be.above(0);
    await router.resumeWrites();
  });

  it('takes the place of a hold only once it is seen, and a hold leaves no mark of it', async () => {
    const { router, done } = await make();
    await router.hold(30_000);
    expect(await router.read()).to.not.have.property('refuses');
    done();
    await router.refuse(30_000);
    expect(done()[1]).to.be.above(0);
    expect((await router.read()).refuses).to.equal(true);
    await router.resumeWrites();
    await router.hold(30_000);
    expect(await router.read()).to.not.have.property('refuses');
    await router.resumeWrites();
  });

  it('goes on over a change of the split, which keeps it', async () => {
    const { router, done } = await make();
    await router.refuse(60_000);
    await router.apply({ live: 'green', percent: 0 });
    const state = await router.read();
    expect(state).to.deep.include({ split: { live: 'green', percent: 0 }, refuses: true });
    done();
    await router.refuse(60_000);
    expect(done()).to.deep.equal([renewal, 0]);
    await router.resumeWrites();
  });
});
