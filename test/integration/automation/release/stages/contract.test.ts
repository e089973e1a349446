import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { GateResult } from '../../../../../automation/journal/verdict.ts';
import { withClient } from '../../../../../automation/data/connect.ts';
import { copyDatabase } from '../../../../../automation/data/copying/schema.ts';
import { resetDatabase } from '../../../../../automation/data/schema.ts';
import { openRun, type ReleaseContext } from '../../../../../automation/release/context/context.ts';
import type { Replacement } from '../../../../../automation/release/context/release.ts';
import { plannedSteps, takeSteps, type Stage } from '../../../../../automation/release/context/stage.ts';
import { openJournal, type Journal } from '../../../../../automation/journal/journal.ts';
import { backup } from '../../../../../automation/release/stages/backup.ts';
import { cleanup, pastNoReturn } from '../../../../../automation/release/stages/cleanup.ts';
import type { Artefact } from '../../../../../infra/model.ts';
import type { Backup } from '../../../../../infra/platform/backups.ts';
import type { Environment } from '../../../../../infra/platform/environment.ts';
import type { Job } from '../../../../../infra/platform/jobs.ts';
import { revokeWrites } from '../../../../../infra/application/roles.ts';
import { createRig, schemaV1, value, type Rig } from '../../data/rig.ts';
import { releaseSettings } from '../settings.ts';

const passing = '<testsuite tests="1"><testcase name="one"/></testsuite>';
const failing = '<testsuite tests="1"><testcase name="one"><failure message="no"/></testcase></testsuite>';

/** Contract migrations, in the two stages that run them: green is live, or blue is and green holds the copy. */
describe('contract migrations', () => {
  let rig: Rig;
  let directory: string;
  let journal: Journal;
  /** Does the steps of a stage of the release. */
  let take: (stage: Stage, overrides?: Partial<ReleaseContext>) => Promise<void>;
  let facts: Replacement;
  let calls: string[];
  /** What was announced, in order. */
  let said: string[];
  /** Ids of the backups, newest first. */
  let taken: string[];
  let damaged: boolean;
  /** What a run of the acceptance tests says, by version and by whether the contract has run in that database. */
  let verdictOf: (version: string, contracted: boolean) => boolean;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-contract-'));
    await mkdir(join(directory, 'release'));
    journal = openJournal(join(directory, 'release'));
    calls = [];
    said = [];
    taken = [];
    damaged = false;
    verdictOf = () => true;
    await rig.fresh(schemaV1);
  });
  afterEach(async () => {
    journal.close();
    await rm(directory, { recursive: true });
  });

  const artefact = (version: string): Artefact => ({
    version,
    digest: `sha256:${version}`,
    location: join(directory, version),
  });
  const contracted = () => value<boolean>(live(), `SELECT to_regclass('public.settings') IS NULL`);
  let live: () => Rig['blue'];

  async function release(sql: string | undefined, colours: { live: 'blue' | 'green'; copy: 'blue' | 'green' }) {
    live = () => rig[colours.live];
    const copy = rig[colours.copy];
    await mkdir(join(directory, '2.0.0', 'migrations'), { recursive: true });
    await writeFile(
      join(directory, '2.0.0', 'migrations', '002_expand.sql'),
      'ALTER TABLE accounts ADD COLUMN points int',
    );
    if (sql !== undefined) await writeFile(join(directory, '2.0.0', 'migrations', '009_contract.sql'), sql);
    let configuration: unknown;
    const environment = {
      databases: { of: (colour: 'blue' | 'green') => Promise.resolve(rig[colour].access) },
      backups: {
        async take(_colour: string, version: string, what: unknown): Promise<Backup> {
          calls.push(`back up, ${(await contracted()) ? 'after' : 'before'} the contract`);
          configuration = JSON.parse(JSON.stringify(what));
          taken.unshift(`b${calls.length}`);
          return { id: taken[0], version, takenAt: new Date().toISOString(), bytes: 9 } as unknown as Backup;
        },
        verify: () => {
          calls.push('verify');
          return damaged ? Promise.reject(new Error('a damaged block')) : Promise.resolve(configuration);
        },
        async restore() {
          calls.push('restore');
          await resetDatabase(copy.access, colours.copy);
          await copyDatabase(live().access, copy.access);
          return { access: copy.access, dispose: () => Promise.resolve() };
        },
        list: () => Promise.resolve(taken.map((id) => ({ id }))),
        prune(keep: number) {
          calls.push(`keep ${keep}`);
          return Promise.resolve([]);
        },
      },
      previews: {
        serve: () =>
          Promise.resolve({ baseUrl: 'http://127.0.0.1:1', routeHeaders: {}, dispose: () => Promise.resolve() }),
      },
      jobs: {
        async run({ artefact: { version }, results, log }: Job) {
          const gone = await value<boolean>(copy, `SELECT to_regclass('public.settings') IS NULL`);
          calls.push(`test ${version}, ${gone ? 'after' : 'before'} the contract`);
          const good = verdictOf(version, gone);
          await writeFile(results ?? log, good ? passing : failing);
          return { exitCode: good ? 0 : 1, timedOut: false, ms: 1, tail: '' };
        },
      },
    } as unknown as Environment;
    const settings = releaseSettings({
      directory: join(directory, 'release'),
      journal,
      definition: {
        application: {
          migrations: { directory: 'migrations', contract: sql === undefined ? [] : ['009_contract.sql'] },
        },
        data: { backupRetention: 1 },
        bake: { oldColour: 'keep-warm' },
      },
      old: artefact('1.0.0'),
      waiting: (text) => void said.push(text),
    });
    facts = settings;
    take = (stage, overrides = {}) =>
      takeSteps(
        {
          ...openRun(settings).at(stage.id).context,
          connect: () => Promise.resolve(environment),
          artefact: () => artefact('2.0.0'),
          ...overrides,
        },
        stage,
      );
  }

  const planned = (stage: Stage) => plannedSteps(stage).map(({ says }) => says);

  const gate = (id: string) => {
    const entry = journal.entries().findLast((one) => one.type === 'gate.judged' && one.gate.id === id);
    return entry?.type === 'gate.judged' ? entry.gate : undefined;
  };

  describe('on the copy', () => {
    const rehearse = async (sql: string | undefined) => {
      await release(sql, { live: 'blue', copy: 'green' });
      await take(backup(facts));
    };

    it('are rehearsed last, and the new version is tested on what they leave', async () => {
      await rehearse('DROP TABLE settings');
      expect(gate('contract-rehearsal')?.verdict).to.equal('pass');
      expect(calls.filter((call) => call.startsWith('test'))).to.deep.equal([
        'test 2.0.0, before the contract',
        'test 1.0.0, before the contract',
        'test 2.0.0, after the contract',
      ]);
      expect(await contracted(), 'the live database').to.equal(false);
      const all = planned(backup(facts));
      expect(said.filter((text) => all.includes(text))).to.deep.equal(all);
    });

    it('are not tried where the expand migrations failed there', async () => {
      await release('DROP TABLE settings', { live: 'blue', copy: 'green' });
      await writeFile(join(directory, '2.0.0', 'migrations', '002_expand.sql'), 'SELECT 1 / 0');
      await take(backup(facts));
      expect(gate('migration-rehearsal')?.verdict).to.equal('error');
      expect(gate('contract-rehearsal')).to.equal(undefined);
      expect(calls.filter((call) => call.startsWith('test'))).to.deep.equal([]);
    });

    it('that fail there never come to the live database', async () => {
      await rehearse('DROP TABLE settings; SELECT 1 / 0');
      expect(gate('contract-rehearsal')?.verdict).to.equal('error');
      expect(gate('contract-rehearsal')?.measured).to.contain('division by zero');
    });

    it('that break the new version fail there', async () => {
      verdictOf = (_, gone) => !gone;
      await rehearse('DROP TABLE settings');
      expect(gate('compatibility')?.verdict).to.equal('pass');
      expect(gate('contract-rehearsal')?.verdict).to.equal('fail');
    });

    it('are said to be none where there are none, and cost nothing', async () => {
      await rehearse(undefined);
      expect(gate('contract-rehearsal')).to.include({
        verdict: 'pass',
        measured: 'contract migrations: none is pending',
      });
      expect(calls.filter((call) => call.startsWith('test'))).to.have.length(2);
    });

    it('what a way back would leave behind is known from there', async () => {
      await rehearse(undefined);
      const extended = journal.entries().find(({ type }) => type === 'schema.extended');
      expect(extended).to.deep.include({ tables: [], columns: [{ table: 'public.accounts', columns: ['points'] }] });
    });
  });

  describe('on the live database', () => {
    const start = async (sql: string | undefined) => {
      await copyDatabase(rig.blue.access, rig.green.access);
      await withClient(rig.blue.access, 'admin', (client) => client.query(revokeWrites));
      await release(sql, { live: 'green', copy: 'blue' });
      const equal: GateResult = {
        id: 'data-comparison',
        title: '',
        verdict: 'pass',
        measured: '',
        wanted: '',
        measurements: [],
        evidence: [],
        ms: 0,
        observationMs: 0,
      };
      journal.append({ type: 'gate.judged', stage: 'cutover', gate: equal });
    };
    const refusal = (overrides: Partial<ReleaseContext> = {}) =>
      take(cleanup(facts), overrides).then(
        () => expect.fail('it went on'),
        (error: Error) => error.message,
      );

    it('run after a backup that was restored and compared, while the way back was open', async () => {
      await start('DROP TABLE settings');
      await take(cleanup(facts));
      expect(calls).to.deep.equal([
        'back up, before the contract',
        'verify',
        'restore',
        'back up, after the contract',
        'verify',
        'keep 2',
      ]);
      const order = journal
        .entries()
        .flatMap((entry) =>
          entry.type === 'gate.judged' ? [entry.gate.id] : entry.type === 'action.intent' ? [entry.id] : [],
        );
      const steps = ['contract-backup', 'cleanup/end-reverse', 'cleanup/migrate-contract-green'];
      expect(order.filter((id) => steps.includes(id))).to.deep.equal(steps);
      // Neither a step that the plan does not have, nor one of the plan left out.
      const all = planned(cleanup(facts));
      expect(said.filter((text) => all.includes(text))).to.deep.equal(all);
      expect(await contracted()).to.equal(true);
    });

    it('do not run where the backup cannot be proven; the way back stays open, and resume goes on', async () => {
      await start('DROP TABLE settings');
      damaged = true;
      expect(await refusal())
        .to.contain('could not be proven')
        .and.contain('009_contract.sql')
        .and.contain('npm run resume');
      expect(await contracted()).to.equal(false);
      expect(pastNoReturn(journal.entries())).to.equal(false);

      damaged = false;
      await take(cleanup(facts));
      expect(await contracted()).to.equal(true);
      expect(pastNoReturn(journal.entries())).to.equal(true);
    });

    it('that were cut off go on with the backup of before them', async () => {
      await start('SELECT 1 / 0');
      expect(await refusal()).to.contain('division by zero');
      await writeFile(join(directory, '2.0.0', 'migrations', '009_contract.sql'), 'DROP TABLE settings');
      await take(cleanup(facts));
      expect(calls.filter((call) => call === 'restore')).to.have.length(1);
      expect(await contracted()).to.equal(true);
    });

    it('do not run where a rollback is asked for while the backup is proven: the way back is open still', async () => {
      await start('DROP TABLE settings');
      const rollbackRequested = () => calls.includes('restore');
      expect(await refusal({ rollbackRequested })).to.contain('npm run rollback');
      expect(await contracted()).to.equal(false);
      expect(pastNoReturn(journal.entries())).to.equal(false);
    });

    it('the backup of before them is kept, however often the clean-up is repeated', async () => {
      await start('DROP TABLE settings');
      await take(cleanup(facts));
      await take(cleanup(facts));
      await take(cleanup(facts));
      expect(calls.filter((call) => call.startsWith('keep'))).to.deep.equal(['keep 2', 'keep 3', 'keep 4']);
    });

    it('that are none need one backup alone, and that one is checked', async () => {
      await start(undefined);
      await take(cleanup(facts));
      expect(calls).to.deep.equal(['back up, before the contract', 'verify', 'keep 1']);
    });
  });
});
