import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { releaseDefinition } from '../../../../../../automation/config/schema.ts';
import { runGate } from '../../../../../../automation/gates/run.ts';
import { type Gate, type GateResult } from '../../../../../../automation/journal/verdict.ts';
import type { ReleaseContext } from '../../../../../../automation/release/context/context.ts';
import type { Release } from '../../../../../../automation/release/context/release.ts';
import { StageStopped } from '../../../../../../automation/release/context/stage.ts';
import { judging } from '../../../../../../automation/release/steps/data/judge-migrations.ts';
import { validDefinition } from '../../../../../lib/valid-definition.ts';

describe('the migrations of a build', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-judging-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  type Files = Record<string, string>;
  const artefact = async (version: string, files: Files | undefined) => {
    const location = join(directory, version);
    await rm(location, { recursive: true, force: true });
    await mkdir(location, { recursive: true });
    for (const [name, sql] of Object.entries(files ?? {})) {
      await mkdir(dirname(join(location, 'migrations', name)), { recursive: true });
      await writeFile(join(location, 'migrations', name), sql);
    }
    return { version, digest: '', location };
  };

  /** Judges the build of 2.0.0 against that of 1.0.0; `old: undefined` is a first go-live. */
  async function judged(old: Files | undefined, now: Files, migrations: object = {}, version = '2.0.0') {
    const input = validDefinition();
    input.application.migrations = { directory: 'migrations', ...migrations };
    input.canary = { steps: [] };
    const definition = releaseDefinition.parse(input);
    const built = await artefact(version, now);
    const from = old && { colour: 'blue', version: '1.0.0', artefact: await artefact('1.0.0', old) };
    const release = { definition, from } as unknown as Release;
    const results: GateResult[] = [];
    const context = {
      definition,
      artefact: () => built,
      async gates(gates: readonly Gate[]) {
        for (const gate of gates) results.push(await runGate(gate, { releaseDirectory: directory }));
        return results;
      },
    } as unknown as ReleaseContext;
    const [step] = judging(release);
    const stopped = await step?.do(context, undefined).then(
      () => undefined,
      (error: unknown) => error,
    );
    const [result] = results;
    if (result === undefined) throw new Error('no gate was judged');
    const passed = result.verdict === 'pass' || result.verdict === 'waived';
    expect(stopped instanceof StageStopped).to.equal(!passed);
    return result;
  }
  const notes = ({ measurements }: GateResult): string[] =>
    measurements.filter(({ verdict }) => verdict !== 'pass').map(({ name, measured }) => `${name}: ${measured}`);

  const first = { '001_a.sql': 'CREATE TABLE a (id int PRIMARY KEY, b text);' };

  it('stop the release where the live version does not survive them, and are not where they are applied', async () => {
    const drop = { '002_b.sql': 'ALTER TABLE a DROP COLUMN b;' };
    const found = await judged(first, { ...first, ...drop });
    expect(found).to.include({ id: 'migrations', verdict: 'fail' });
    expect(notes(found)[0]).to.match(/^breaks-old-version 002_b\.sql:1: public\.a\.b is gone/);
    const applied = await judged({ ...first, ...drop }, { ...first, ...drop });
    expect(applied).to.include({ verdict: 'pass', measured: 'none is pending' });
  });

  it('may take away in a contract file, and where nothing is live yet', async () => {
    const drop = { '002_b.sql': 'ALTER TABLE a DROP COLUMN b;' };
    expect((await judged(first, { ...first, ...drop }, { contract: ['002_b.sql'] })).verdict).to.equal('pass');
    expect((await judged(undefined, { ...first, ...drop })).verdict).to.equal('pass');
  });

  const inWindow = (...files: string[]) => ({ incompatible: { files, readOnlyWindow: { longestSeconds: 60 } } });

  it('may take away in a read-only window; what runs there is known when the contract files are judged', async () => {
    const drop = { '002_b.sql': 'ALTER TABLE a DROP COLUMN b;' };
    expect((await judged(first, { ...first, ...drop }, inWindow('002_b.sql'))).verdict).to.equal('pass');
    expect((await judged(undefined, { ...first, ...drop }, inWindow('002_b.sql'))).verdict).to.equal('pass');
    // By its name the contract file would come first, and make an index on a table that users have.
    const files = { '002_c.sql': 'CREATE INDEX i ON d (id);', '003_d.sql': 'CREATE TABLE d (id int PRIMARY KEY);' };
    const both = await judged(first, { ...first, ...files }, { ...inWindow('003_d.sql'), contract: ['002_c.sql'] });
    expect(both.measured).to.equal('2 statements of 2 files');
    // An expand file does not have what a window makes, whatever their names: its index is taken to be on a table that is there.
    const { '003_d.sql': made } = files;
    const late = { '003_d.sql': made, '004_e.sql': 'CREATE INDEX j ON d (id);' };
    expect((await judged(first, { ...first, ...late }, inWindow('003_d.sql'))).measured).to.include(
      '1 named as a risk',
    );
    expect((await judged(first, { ...first, '002_b.sql': 'VACUUM a;' }, inWindow('002_b.sql'))).verdict).to.equal(
      'fail',
    );
  });

  it('are refused where a read-only window would be for nothing, or nobody opens one', async () => {
    const drop = { '002_b.sql': 'ALTER TABLE a DROP COLUMN b;' };
    const all = { ...first, ...drop };
    expect(notes(await judged(first, first, inWindow('009_x.sql')))).to.deep.equal([
      '009_x.sql: migrations.incompatible names it, and there is no such file',
    ]);
    const done = await judged(all, all, inWindow('002_b.sql'));
    expect(notes(done)).to.deep.equal([
      '002_b.sql: migrations.incompatible names it, and the live version has it already',
    ]);
    expect(done.measurements[0]?.note).to.include('take migrations.incompatible out of the definition');
    expect(notes(await judged(first, all, inWindow('002_b.sql'), '1.9.0'))).to.deep.equal([
      '002_b.sql: migrations.incompatible names it, and only application.version gets a read-only window',
    ]);
    // An older version that does not have it yet, or has it applied.
    expect((await judged(first, first, inWindow('002_b.sql'), '1.9.0')).verdict).to.equal('pass');
    expect((await judged(all, all, inWindow('002_b.sql'), '1.9.0')).verdict).to.equal('pass');
  });

  it('pass where the definition accepts it; a file that is not there is refused, but of the version alone', async () => {
    const drop = { '002_b.sql': 'ALTER TABLE a DROP COLUMN b;' };
    const accept = [{ file: '002_b.sql', rule: 'breaks-old-version', reason: 'nobody uses it any more' }];
    expect((await judged(first, { ...first, ...drop }, { accept })).verdict).to.equal('waived');
    const unknown = await judged(first, first, { accept });
    expect(notes(unknown)).to.deep.equal(['migrations.accept: there is no file 002_b.sql']);
    expect((await judged(undefined, first, { accept }, '1.0.0')).verdict).to.equal('pass');
  });

  it('are refused where a file would be skipped, misread, or run at the wrong time [F3] [F4] [F6]', async () => {
    const more = async (files: Files, migrations = {}) =>
      notes(await judged(first, { ...first, ...files }, migrations));
    expect((await more({ '002_b.sql': '-- +goose Up\nSELECT 1;\n-- +goose Down\nDROP TABLE a;' }))[0]).to.match(
      /^002_b\.sql:3: .*goose/,
    );
    expect((await more({ '20260101_init/migration.sql': 'SELECT 1' }))[0]).to.include('folder');
    expect((await more({ '002_B.SQL': 'SELECT 1' }))[0]).to.match(/^002_B\.SQL: /);
    expect((await more({ '2_b.sql': 'SELECT 1', '10_c.sql': 'SELECT 1' }))[0]).to.match(
      /^10_c\.sql: .*before 2_b\.sql/,
    );
    expect((await more({ 'V2__b.sql': 'SELECT 1', 'V10__c.sql': 'SELECT 1' }))[0]).to.match(
      /^V10__c\.sql: .*before V2__b/,
    );
    expect((await more({ '001_a.sql': 'SELECT 1;' }))[0]).to.match(/^001_a\.sql: .*another content/);
    expect(await more({}, { contract: ['009_x.sql'] })).to.deep.equal([
      '009_x.sql: migrations.contract names it, and there is no such file',
    ]);
    expect((await more({ '002_b.sql': 'SELEKT 1;' }))[0]).to.match(/^002_b\.sql:1: the file cannot be read/);
    expect((await more({ '002_b.sql': 'VACUUM a;' }))[0]).to.match(/^not-transactional 002_b\.sql:1: VACUUM/);
  });

  it('are not judged where a command runs them', () => {
    const definition = validDefinition();
    definition.application.migrations = { expand: ['node', 'migrate.js'] };
    expect(judging({ definition: releaseDefinition.parse(definition) } as unknown as Release)).to.deep.equal([]);
  });
});
