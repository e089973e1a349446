import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { createRig, schemaV1, type Rig } from './rig.ts';
import { MemoryRouter, Workload } from './traffic.ts';

describe('the workload of the cutover tests', () => {
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());

  it('finds lost and doubled increments of one row', async () => {
    await rig.fresh(schemaV1);
    await rig.run(rig.blue, 'UPDATE counters SET n = 10');
    const load = new Workload(rig, new MemoryRouter(), 400, 4);
    try {
      await load.more(60);
    } finally {
      await load.stop();
    }
    expect(load.failures).to.deep.equal([]);
    expect(await load.check(rig)).to.deep.equal([]);
    const acknowledged = (id: number) => 10 + (load.counters.get(id)?.acknowledged ?? 0);
    expect(acknowledged(1)).to.be.greaterThan(11);
    await rig.run(rig.blue, 'UPDATE counters SET n = n - 1 WHERE id = 1; UPDATE counters SET n = n + 1 WHERE id = 2');
    expect(await load.check(rig)).to.deep.equal([
      `counter 1 is ${acknowledged(1) - 1}, not ${acknowledged(1)}`,
      `counter 2 is ${acknowledged(2) + 1}, not ${acknowledged(2)}`,
    ]);
  });

  it('stops waiting for writes that are cut', async () => {
    const router = new MemoryRouter();
    const hanging = Promise.withResolvers<never>();
    const client = router.write(() => hanging.promise).catch((error: Error) => error.message);
    expect(await router.cutWrites('green')).to.equal(0);
    expect(await router.writesInFlight('blue')).to.equal(1);
    expect(await router.cutWrites('blue')).to.equal(1);
    expect(await router.writesInFlight('blue')).to.equal(0);
    expect(await client).to.equal('cut');
    hanging.reject(new Error('what nobody hears'));
  });

  it('counts cut writes as unknown', async () => {
    await rig.fresh(schemaV1);
    const router = new MemoryRouter();
    const load = new Workload(rig, router, 400, 4);
    try {
      await load.more(20);
      let cut = 0;
      for (; cut < 3; await setImmediate()) cut += await router.cutWrites('blue');
      await load.more(20);
    } finally {
      await load.stop();
    }
    expect(load.failures).to.include('cut');
    const increments = [...load.counters.values()].reduce((sum, { unknown }) => sum + unknown, 0);
    expect(increments + load.unknown.size).to.equal(load.failures.length);
    expect(await load.check(rig)).to.deep.equal([]);
  });
});
