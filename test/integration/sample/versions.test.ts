import { expect } from 'chai';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { databaseUrl } from '../../../infra/application/database-url.ts';
import { contractFile, migrate, openWorkshop, runBuild, runTests, withClient, type Workshop } from './sample.ts';

describe('sample application: two versions', function () {
  this.timeout(180_000);
  let shop: Workshop;
  let v1: string;
  let v2: string;

  before(async () => {
    shop = await openWorkshop();
    [v1, v2] = await Promise.all([shop.build('1.0.0'), shop.build('2.0.0')]);
  });
  after(() => shop.close());

  const contents = async (directory: string): Promise<Record<string, string>> => {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true });
    const paths = entries.filter((e) => e.isFile()).map((e) => join(e.parentPath, e.name));
    const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8')));
    return Object.fromEntries(paths.map((path, i) => [path.slice(directory.length), texts[i] ?? '']));
  };

  it('builds the same bytes again, and other bytes for another version or a fault', async () => {
    const [again, next, faulty, oldFaulty] = ['again', 'next', 'faulty', 'old'].map((name) =>
      join(shop.directory, name),
    );
    await Promise.all([again, next, faulty, oldFaulty].map((path) => mkdir(path ?? '')));
    await runBuild('2.0.0', again ?? '');
    await runBuild('2.0.1', next ?? '');
    await runBuild('2.0.0', faulty ?? '', 'hang@production');
    await runBuild('1.0.0', oldFaulty ?? '', 'hang');
    const base = await contents(v2);
    expect(await contents(again ?? '')).to.deep.equal(base);
    expect(await contents(faulty ?? '')).to.not.deep.equal(base);
    expect(await contents(oldFaulty ?? '')).to.deep.equal(await contents(v1));
    const later = await contents(next ?? '');
    expect(Object.keys(later)).to.deep.equal(Object.keys(base));
    expect(later['/public/edition.js']).to.equal(base['/public/edition.js']);
  });

  it('refuses a fault that does not exist', async () => {
    const out = join(shop.directory, 'none');
    await mkdir(out);
    const error = await runBuild('2.0.0', out, 'no-such').then(
      () => '',
      (failure: { stderr: string }) => failure.stderr,
    );
    expect(error).to.match(/no fault "no-such"/);
    expect(await readdir(out)).to.deep.equal([]);
  });

  it('passes its own unit and integration tests', async () => {
    for (const artefact of [v1, v2]) {
      const env = { DATABASE_URL: databaseUrl(await shop.database(artefact), 'app') };
      const [unit, integration] = await Promise.all([
        runTests(artefact, 'unit', {}),
        runTests(artefact, 'integration', env),
      ]);
      expect([...unit.failed, ...integration.failed]).to.deep.equal([]);
      expect(unit.passed).to.have.length.above(5);
      expect(integration.passed).to.have.length.above(5);
    }
  });

  it('1.0.0 passes acceptance on its own and on the expanded schema, 2.0.0 before and after the contract', async () => {
    const own = await shop.database(v1);
    const expanded = await shop.database(v2);
    const accept = async (artefact: string, access: typeof own): Promise<void> => {
      const env = { BASE_URL: await shop.serve(artefact, access), NODE_EXTRA_CA_CERTS: shop.caFile };
      const [acceptance, smoke] = await Promise.all([
        runTests(artefact, 'acceptance', env),
        runTests(artefact, 'smoke', { ...env, ROUTE_HEADERS: '{"x-route":"green"}' }),
      ]);
      expect([...acceptance.failed, ...smoke.failed]).to.deep.equal([]);
      expect(acceptance.passed).to.have.length.above(10);
      expect(smoke.passed).to.have.length.above(3);
    };
    await Promise.all([accept(v1, own), accept(v1, expanded)]);
    await accept(v2, expanded);
    await migrate(expanded, v2, (name) => name === contractFile);
    await accept(v2, expanded);
  });

  it('seeds the same rows each time, and backfills what was there before', async () => {
    const { execa } = await import('execa');
    const [one, two] = [await shop.database(v1), await shop.database(v2)];
    for (const access of [one, two])
      await execa(process.execPath, ['seed.mjs'], {
        cwd: v2,
        env: { DATABASE_URL: databaseUrl(access, 'owner'), SEED_ACCOUNTS: '700', SEED: '3' },
      });
    await migrate(one, v2, (name) => !name.startsWith('001') && name !== contractFile);
    const sums = (access: typeof one) =>
      withClient(databaseUrl(access, 'admin'), async (client) => {
        const { rows } = await client.query<Record<string, string>>(`select
          (select count(*) || md5(string_agg(email || name || created_at, '' order by id)) from accounts) as accounts,
          (select count(*) || md5(string_agg(progress::text, '' order by account_id, lesson_id)) from progress) as progress,
          (select count(*) || md5(string_agg(p.reminder || p.goal_days, '' order by account_id)) from preferences p) as preferences,
          (select count(*) || md5(string_agg(s::text, '' order by account_id)) from streaks s) as streaks,
          (select sum(points) from progress) as points`);
        return rows[0];
      });
    const [backfilled, direct] = [await sums(one), await sums(two)];
    expect(backfilled).to.deep.equal(direct);
    expect(backfilled?.['accounts']).to.match(/^700/);
    expect(Number(backfilled?.['points'])).to.be.above(1000);
  });
});
