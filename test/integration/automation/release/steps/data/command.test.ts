import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { compareDatabases, openSnapshot } from '../../../../../../automation/data/comparison/compare.ts';
import { withClient } from '../../../../../../automation/data/connect.ts';
import { copyDatabase } from '../../../../../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../../../../../automation/data/schema.ts';
import { migrationRisks } from '../../../../../../automation/journal/migration-risks.ts';
import { openJournal, type Journal } from '../../../../../../automation/journal/journal.ts';
import type { GateResult } from '../../../../../../automation/journal/verdict.ts';
import { openRun, type ReleaseContext } from '../../../../../../automation/release/context/context.ts';
import { rehearsing } from '../../../../../../automation/release/steps/data/rehearsal.ts';
import { createLocalJobs } from '../../../../../../infra/local/runtime/jobs.ts';
import type { Environment } from '../../../../../../infra/platform/environment.ts';
import type { Artefact } from '../../../../../../infra/model.ts';
import { createRig, schemaV1, value, type Rig } from '../../../data/rig.ts';
import { releaseSettings } from '../../settings.ts';

const schema = `${schemaV1}
  CREATE TABLE tool_version (version text PRIMARY KEY);
  INSERT INTO tool_version VALUES ('1');`;

/** A migration tool as applications have them: steps in code, and a table of those that were done. */
const tool = (steps: Record<string, string>, keepsRecord: boolean): string => `
  import { createRequire } from 'node:module';
  const pg = createRequire(${JSON.stringify(createRequire(import.meta.url).resolve('pg'))})('pg');
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  console.log('migrating', process.env.DATABASE_URL);
  for (const [version, sql] of Object.entries(${JSON.stringify(steps)})) {
    const { rows } = await client.query('SELECT FROM tool_version WHERE version = $1', [version]);
    if (rows.length > 0) continue;
    await client.query('BEGIN');
    await client.query(sql);
    ${keepsRecord ? `await client.query('INSERT INTO tool_version VALUES ($1)', [version]);` : ''}
    await client.query('COMMIT');
  }
  await client.end();`;

/** A release whose migrations are a command, on the copy: blue is live, green is the copy. */
describe('migrations by a command of the application', () => {
  let rig: Rig;
  let directory: string;
  let journal: Journal;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-command-'));
    await mkdir(join(directory, 'release'));
    await mkdir(join(directory, 'artefact'));
    journal = openJournal(join(directory, 'release'));
    await rig.fresh(schema);
    await resetDatabase(rig.green.access, 'green');
    await copyDatabase(rig.blue.access, rig.green.access);
  });
  afterEach(async () => {
    journal.close();
    await rm(directory, { recursive: true });
  });

  const gate = (id: string): GateResult | undefined => {
    const entry = journal.entries().findLast((one) => one.type === 'gate.judged' && one.gate.id === id);
    return entry?.type === 'gate.judged' ? entry.gate : undefined;
  };

  /** Takes the step that runs the expand migrations on the copy. */
  async function rehearsed(steps: Record<string, string>, migrations: object = {}, keepsRecord = true) {
    await writeFile(join(directory, 'artefact', 'migrate.mjs'), tool(steps, keepsRecord));
    const artefact: Artefact = { version: '2.0.0', digest: 'sha256:2', location: join(directory, 'artefact') };
    const command = { expand: ['node', 'migrate.mjs'], records: ['tool_version'] };
    const environment = {
      jobs: createLocalJobs({ redact: (text) => text.replaceAll(/:[^:@]*@/g, ':[redacted]@') }),
      databases: { of: () => Promise.resolve(rig.blue.access) },
    } as unknown as Environment;
    const settings = releaseSettings({
      directory: join(directory, 'release'),
      journal,
      definition: {
        application: { migrations: 'directory' in migrations ? migrations : { ...command, ...migrations } },
      },
      old: { ...artefact, version: '1.0.0', location: join(directory, 'old') },
    });
    const context: ReleaseContext = {
      ...openRun(settings).at('backup').context,
      connect: () => Promise.resolve(environment),
      artefact: () => artefact,
    };
    await rehearsing(settings)[0]?.do(context, rig.green.access);
    return gate('migration-effects');
  }

  it('pass where they are additive and keep a record: it changes, and is not compared', async () => {
    const judged = await rehearsed({
      2: 'ALTER TABLE accounts ADD points int',
      3: 'CREATE TABLE badges (id int PRIMARY KEY)',
    });
    expect(judged, JSON.stringify(judged)).to.include({ verdict: 'pass' });
    expect(judged?.measurements.map(({ name, verdict }) => `${name}: ${verdict}`)).to.deep.equal([
      'second run of the command: pass',
      'longest lock: pass',
      'copy: pass',
    ]);
    expect(migrationRisks([judged as GateResult])).to.deep.equal([]);
    const log = await readFile(join(directory, 'release', 'evidence', 'migrations', 'scratch-expand.log'), 'utf8');
    expect(log)
      .to.contain('migrating')
      .and.not.to.match(/owner(%22|")/);
    const tables = await withClient(rig.blue.access, 'admin', (left) =>
      withClient(rig.green.access, 'admin', async (right) => {
        await Promise.all([openSnapshot(left), openSnapshot(right)]);
        return compareDatabases(left, right, { columns: 'left' });
      }),
    );
    expect(await value(rig.green, 'SELECT count(*)::int FROM tool_version')).to.equal(3);
    expect(
      tables.every(({ equal }) => equal),
      JSON.stringify(tables),
    ).to.equal(true);
    expect(tables.map(({ table }) => table))
      .to.include('public.accounts')
      .and.not.to.include('public.tool_version');
  });

  it('stop where the old version does not survive it, unless that is accepted', async () => {
    const steps = { 2: 'ALTER TABLE accounts DROP COLUMN profile', 3: `UPDATE counters SET n = 7 WHERE id = 1` };
    const judged = await rehearsed(steps);
    expect(judged?.verdict).to.equal('fail');
    expect(judged?.measurements.slice(0, 2).map(({ name, verdict }) => `${name}: ${verdict}`)).to.deep.equal([
      'breaks-old-version public.accounts: fail',
      'changes-rows public.counters: pass',
    ]);
    await resetDatabase(rig.green.access, 'green');
    await copyDatabase(rig.blue.access, rig.green.access);
    const accept = [{ object: 'public.accounts', rule: 'breaks-old-version', reason: 'nobody uses it any more' }];
    const again = await rehearsed(steps, { accept });
    expect(again?.verdict).to.equal('waived');
    expect(migrationRisks([again as GateResult]).map(({ place, accepted }) => [place, accepted])).to.deep.equal([
      ['public.accounts', 'nobody uses it any more'],
      ['public.counters', undefined],
    ]);
  });

  it('stop where they do it again the second time, or fail then', async () => {
    expect(await rehearsed({ 2: 'INSERT INTO counters SELECT max(id) + 1 FROM counters' }, {}, false)).to.include({
      verdict: 'fail',
      measured: 'second run of the command: rows of public.counters',
    });
    const failing = await rehearsed({ 2: 'ALTER TABLE accounts ADD points int' }, {}, false);
    expect(failing?.verdict).to.equal('fail');
    expect(failing?.measured).to.contain('exit code 1');
  });

  it('are not judged where they fail', async () => {
    const judged = await rehearsed({ 2: 'SELECT 1 / 0' });
    expect(gate('migration-rehearsal')?.verdict).to.equal('error');
    expect(judged).to.equal(undefined);
  });

  it('name a record that is not there', async () => {
    await rehearsed({ 2: 'SELECT 1' }, { records: ['alembic_version'] });
    expect(gate('migration-rehearsal')?.measured).to.contain('there is no table alembic_version');
  });

  it('by files: only what the statements do not say is a finding', async () => {
    await mkdir(join(directory, 'artefact', 'migrations'));
    const sql = `ALTER TABLE accounts DROP COLUMN profile;
      CREATE FUNCTION more() RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE counters SET n = 3; RETURN 1; END $$;
      UPDATE settings SET value = 'light';
      CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
      CREATE TRIGGER touch BEFORE UPDATE ON entries FOR EACH ROW EXECUTE FUNCTION touch();
      SELECT more();
      DO $$ BEGIN EXECUTE 'ALTER TABLE entries DROP COLUMN amount CASCADE'; END $$;`;
    await writeFile(join(directory, 'artefact', 'migrations', '002_more.sql'), sql);
    const judged = await rehearsed({}, { directory: 'migrations', contract: [] });
    const found = (judged?.measurements ?? []).map(({ name, verdict }) => `${name}: ${verdict}`);
    expect(found).to.deep.equal([
      'breaks-old-version public.entries: fail',
      'breaks-old-version public.entries: fail',
      'changes-rows public.counters: pass',
      'longest lock: pass',
      'copy: pass',
    ]);
  });
});
