import { expect } from 'chai';
import { randomUUID } from 'node:crypto';
import { databaseUrl } from '../../../infra/application/database-url.ts';
import { clientOf, migrate, openWorkshop, withClient, type Learner, type Workshop } from './sample.ts';

/** Drills are only worth something if the planted faults are there: each of them shows, and in no other build. */
describe('sample application: faults for drills', function () {
  this.timeout(60_000);
  let shop: Workshop;

  before(async () => {
    shop = await openWorkshop();
  });
  after(() => shop.close());
  afterEach(() => shop.killServices());

  async function learnerOf(fault: string, env: Record<string, string> = {}): Promise<Learner> {
    const artefact = await shop.build('2.0.0', fault);
    return clientOf(await shop.serve(artefact, await shop.database(artefact), env), shop.caFile);
  }
  const statuses = async (learner: Learner, count: number, path = '/api/lessons'): Promise<number[]> => {
    const all: number[] = [];
    for (let i = 0; i < count; i += 1) all.push((await learner.send('GET', path)).status);
    return all;
  };
  const injection = `/api/search?q=${encodeURIComponent("%' or '1'='1")}`;
  const found = async (learner: Learner): Promise<number> =>
    (JSON.parse((await learner.send('GET', injection)).text) as { lessons: unknown[] }).lessons.length;
  const keepsGoal = async (learner: Learner): Promise<boolean> => {
    await learner.send('PATCH', '/api/preferences', { goalDays: 4, key: randomUUID() });
    return (await learner.send('GET', '/api/preferences')).text.includes('"goalDays":4');
  };

  it('has none without being asked', async () => {
    const learner = await learnerOf('');
    expect(await statuses(learner, 40)).to.deep.equal(Array(40).fill(200));
    expect(await found(learner)).to.equal(0);
    expect(await keepsGoal(learner)).to.equal(true);
  });

  it('error-on-reads: one read in twenty answers 500', async () => {
    const learner = await learnerOf('error-on-reads');
    expect((await statuses(learner, 40)).filter((status) => status === 500)).to.have.length(2);
  });

  it('hang: after twenty reads no further one is answered, while the rest goes on', async () => {
    const learner = await learnerOf('hang');
    expect(await statuses(learner, 20)).to.deep.equal(Array(20).fill(200));
    let answered = false;
    learner.send('GET', '/api/lessons').then(
      () => (answered = true),
      () => undefined,
    );
    expect(await statuses(learner, 20, '/api/version')).to.deep.equal(Array(20).fill(200));
    expect(answered).to.equal(false);
  });

  it('slow-endpoint: takes 800 ms', async () => {
    const learner = await learnerOf('slow-endpoint');
    const from = performance.now();
    await learner.send('GET', '/api/lessons');
    // Timers of Node may be a millisecond early.
    expect(performance.now() - from).to.be.above(798);
  });

  it('sql-injection: input becomes SQL', async () => {
    const learner = await learnerOf('sql-injection');
    expect(await found(learner)).to.equal(6);
    expect((await learner.send('GET', "/api/search?q='")).status).to.equal(500);
  });

  it('acceptance-fails: preferences are not kept; with @production only there', async () => {
    expect(await keepsGoal(await learnerOf('acceptance-fails'))).to.equal(false);
    expect(await keepsGoal(await learnerOf('acceptance-fails@production'))).to.equal(true);
    const there = await learnerOf('acceptance-fails@production', { GREENLIGHT_ENVIRONMENT: 'production' });
    expect(await keepsGoal(there)).to.equal(false);
  });

  it('read-that-writes: a read fails where nothing may be written', async () => {
    const artefact = await shop.build('2.0.0', 'read-that-writes');
    const access = await shop.database(artefact);
    const url = await shop.serve(artefact, access);
    const learner = await clientOf(url, shop.caFile);
    expect((await learner.send('GET', '/api/lessons')).status).to.equal(200);
    await withClient(databaseUrl(access, 'admin'), (client) => client.query('revoke app_writer from app'));
    try {
      expect((await learner.send('GET', '/api/lessons')).status).to.equal(503);
      expect((await learner.send('GET', '/api/progress')).status).to.equal(200);
    } finally {
      await withClient(databaseUrl(access, 'admin'), (client) => client.query('grant app_writer to app'));
    }
  });

  it('incompatible-migration: 1.0.0 no longer runs on the expanded schema', async () => {
    const access = await shop.database(await shop.build('2.0.0', 'incompatible-migration'));
    const learner = await clientOf(await shop.serve(await shop.build('1.0.0'), access), shop.caFile);
    const saved = await learner.send('PATCH', '/api/preferences', { reminder: 'weekly', key: randomUUID() });
    expect(saved.status).to.equal(500);
  });

  it('migration-fails: it fails half-way and leaves nothing behind', async () => {
    const broken = await shop.build('2.0.0', 'migration-fails');
    const access = await shop.database(await shop.build('1.0.0'));
    const error = await migrate(access, broken, (name) => name.includes('migration-fails')).then(
      () => undefined,
      (failure: { code?: string }) => failure,
    );
    expect(error?.code).to.equal('22012');
    const columns = "select from information_schema.columns where table_name = 'lessons' and column_name = 'minutes'";
    expect((await withClient(databaseUrl(access, 'admin'), (client) => client.query(columns))).rowCount).to.equal(0);
  });
});
