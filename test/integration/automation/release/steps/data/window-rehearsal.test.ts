import { expect } from 'chai';
import { allOf, lastOf } from '../../../../../../automation/journal/entries.ts';
import { plannedSteps, takeSteps } from '../../../../../../automation/release/context/stage.ts';
import { migrateAtOnce } from '../../../../../../automation/release/steps/data/migrate.ts';
import { rename, windowMigrations } from './window-migrations.ts';

describe('incompatible migrations before and without a window', () => {
  const scene = windowMigrations();
  const { artefact, copied, file, gate, gates, release } = scene;

  describe('on the copy', () => {
    const rehearse = async (sql: string, migrations: object = {}, data: object = {}) => {
      await file('002_expand.sql', 'ALTER TABLE accounts ADD points int;');
      await file('006_window.sql', sql);
      const { context, stage } = release(migrations, data);
      await takeSteps(context, stage);
      return plannedSteps(stage).map(({ says }) => says);
    };

    it('run after the old version was tried, and before the new one is', async () => {
      await file('009_contract.sql', 'ALTER TABLE accounts DROP COLUMN points;');
      const planned = await rehearse(rename, { contract: ['009_contract.sql'] });
      expect(gates()).to.deep.equal([
        'backup-restore: pass',
        'migration-rehearsal: pass',
        'migration-effects: pass',
        'compatibility: pass',
        'read-only-window: pass',
        'rehearsal-acceptance: pass',
        'contract-rehearsal: pass',
      ]);
      expect(scene.calls).to.deep.equal([
        'serve 1.0.0',
        'test 1.0.0',
        'serve 2.0.0, migrated',
        'serve 2.0.0, migrated',
        'test 2.0.0',
        'serve 2.0.0, migrated',
        'test 2.0.0',
      ]);
      const applied = allOf(scene.journal.entries(), 'migration.applied').map(({ name, phase }) => `${name} ${phase}`);
      expect(applied).to.deep.equal([
        '002_expand.sql expand',
        '006_window.sql incompatible',
        '009_contract.sql contract',
      ]);
      expect(scene.said.filter((text) => planned.includes(text))).to.deep.equal(planned);
    });

    it('leave the evidence for the window: what they changed, and how long it took', async () => {
      await rehearse(
        `${rename} DELETE FROM settings WHERE account < 10; ALTER TABLE counters RENAME TO numbers; DELETE FROM numbers WHERE id = 1;`,
      );
      const found = lastOf(scene.journal.entries(), 'window.rehearsed');
      const changes = (found?.changes ?? []).map(({ kind, name, change }) => `${change} ${kind} ${name}`);
      expect(changes)
        .to.include('gone column public.accounts.email')
        .and.include('new column public.accounts.address')
        .and.include('new table public.numbers');
      // One that has another name is the same table.
      expect(found?.counts).to.deep.equal({ 'public.numbers': -1, 'public.settings': -1 });
      expect(found?.compareMs).to.be.a('number');
      const { ms = 0, startMs = 0, compareMs = 0, expectedMs = 0 } = found ?? {};
      expect(expectedMs).to.be.at.least(ms + startMs + compareMs + 2000);
      const parts = gate('read-only-window')?.measurements.map(({ name }) => name);
      expect(parts).to.include('comparison of both databases').and.include('time without writes');
    });

    it('that fail there are not followed by the new version: nothing of it would say anything', async () => {
      await rehearse('SELECT 1 / 0;');
      expect(gates().slice(3)).to.deep.equal(['compatibility: pass', 'read-only-window: error']);
      expect(gate('read-only-window')?.measured).to.include('006_window.sql');
      expect(lastOf(scene.journal.entries(), 'window.rehearsed')).to.equal(undefined);
    });

    it('that take longer than users are to go without writing end the release, with every part named', async () => {
      await rehearse(rename, {
        incompatible: { files: ['006_window.sql'], readOnlyWindow: { longestSeconds: 5 } },
      });
      expect(gate('read-only-window')).to.include({ verdict: 'fail', wanted: '<= 5 s' });
      expect(gate('rehearsal-acceptance')?.verdict).to.equal('pass');
    });

    it('that break an invariant end the release', async () => {
      const invariants = [
        {
          name: 'every account has settings',
          sql: 'SELECT FROM accounts WHERE id NOT IN (SELECT account FROM settings)',
        },
      ];
      await rehearse('DELETE FROM settings WHERE account < 10;', {}, { invariants });
      expect(gate('migration-rehearsal')?.verdict).to.equal('pass');
      expect(gate('read-only-window')?.measured).to.equal('invariant every account has settings: 9 rows break it');
    });

    it('are not there without a window: the new version is tried first, as always', async () => {
      await rehearse('SELECT 1;', { incompatible: undefined });
      expect(gates().slice(3)).to.deep.equal([
        'rehearsal-acceptance: pass',
        'compatibility: pass',
        'contract-rehearsal: pass',
      ]);
    });
  });

  describe('on a database without an old version', () => {
    const atOnce = async (version: string, migrations: object = {}) => {
      const { context, jobs } = release(migrations);
      const target = { access: scene.rig.green.access, artefact: artefact(version), where: 'staging', jobs } as const;
      await migrateAtOnce(context, target);
      return allOf(scene.journal.entries(), 'migration.applied').map(({ name, phase }) => `${name} ${phase}`);
    };
    beforeEach(copied);

    it('run right after the expand migrations', async () => {
      await file('006_window.sql', rename);
      await file('007_more.sql', 'ALTER TABLE accounts ADD points int;');
      expect(await atOnce('2.0.0')).to.deep.equal(['007_more.sql expand', '006_window.sql incompatible']);
    });

    it('are not there in an older version, and not run by its build', async () => {
      await file('001_first.sql', 'SELECT 1;', '1.0.0');
      expect(await atOnce('1.0.0')).to.deep.equal(['001_first.sql expand']);
    });

    it('by a command run only in the build of the version that they are about', async () => {
      const migrations = {
        records: [],
        expand: ['true'],
        incompatible: { command: ['true', 'window'], readOnlyWindow: { longestSeconds: 60 } },
      };
      expect(await atOnce('1.0.0', migrations)).to.deep.equal(['true expand']);
      expect(await atOnce('2.0.0', migrations)).to.deep.equal([
        'true expand',
        'true expand',
        'true window incompatible',
      ]);
    });
  });
});
