import { expect } from 'chai';
import type { Backups } from '../../infra/platform/backups.ts';
import type { Databases, ScratchDatabase } from '../../infra/platform/databases.ts';
import { grantWrites } from '../../infra/application/roles.ts';
import { query, refusal } from './databases.ts';

const configuration = { split: { live: 'blue', percent: 0 }, text: 'with "quotes", ünïcode\nand lines' };

/** What every platform's backups must do. `open` gives those of an environment whose blue colour is up. */
export function backupsContract(
  platform: string,
  open: () => Promise<{ backups: Backups; databases: Databases; close: () => Promise<void> }>,
): void {
  describe(`backups of platform ${platform}`, () => {
    let backups: Backups;
    let databases: Databases;
    let close: () => Promise<void>;
    const blue = () => databases.of('blue');
    before(async () => {
      ({ backups, databases, close } = await open());
      await query(await blue(), 'owner', 'CREATE TABLE lessons (id serial PRIMARY KEY, title text)');
      await query(
        await blue(),
        'owner',
        "INSERT INTO lessons (title) SELECT 'lesson ' || n FROM generate_series(1, 1000) n",
      );
      await query(await blue(), 'admin', grantWrites);
    });
    after(() => close());

    it('are none at first', async () => {
      expect(await backups.list()).to.deep.equal([]);
      expect(await backups.prune(1)).to.deep.equal([]);
    });

    it('hold data and configuration, and say what they are', async () => {
      const before = new Date().toISOString();
      const backup = await backups.take('blue', '1.2.3', configuration);
      expect(backup).to.include({ colour: 'blue', version: '1.2.3' });
      expect(backup.takenAt >= before && backup.takenAt <= new Date().toISOString()).to.be.true;
      expect(backup.bytes).to.be.greaterThan(1000);
      // Where the platform tells.
      if (backup.lsn !== undefined) expect(backup.lsn).to.match(/^[0-9A-F]+\/[0-9A-F]+$/);
      expect(await backups.list()).to.deep.equal([backup]);
      expect(await backups.verify(backup)).to.deep.equal(configuration);
    });

    it('come back as they were, in a cluster of their own that may be written to', async () => {
      const [backup] = await backups.list();
      if (backup === undefined) throw new Error('there is no backup');
      const original = await query(await blue(), 'app', 'SELECT * FROM lessons ORDER BY id');
      await query(await blue(), 'owner', "INSERT INTO lessons (title) VALUES ('after the backup')");
      let restored: ScratchDatabase | undefined;
      try {
        restored = await backups.restore(backup);
        expect(await query(restored.access, 'app', 'SELECT * FROM lessons ORDER BY id')).to.deep.equal(original);
        expect(await refusal(query(restored.access, 'app', "INSERT INTO lessons (title) VALUES ('x')"))).to.match(
          /permission denied/,
        );
        await query(restored.access, 'admin', grantWrites);
        await query(restored.access, 'app', "INSERT INTO lessons (title) VALUES ('x')");
        await query(restored.access, 'owner', 'ALTER TABLE lessons ADD COLUMN extra int');
        const [row] = await query(restored.access, 'app', "SELECT id > 1000 AS next FROM lessons WHERE title = 'x'");
        expect(row).to.deep.equal({ next: true });
      } finally {
        await restored?.dispose();
      }
      const rows = await query(await blue(), 'app', 'SELECT title FROM lessons WHERE id > 1000');
      expect(rows).to.deep.equal([{ title: 'after the backup' }]);
      expect(await backups.verify(backup)).to.deep.equal(configuration);
    });

    it('are listed newest first, and the oldest go first', async () => {
      const [first] = await backups.list();
      const second = await backups.take('blue', '1.2.4', configuration);
      const third = await backups.take('blue', '1.2.5', configuration);
      expect(await backups.list()).to.deep.equal([third, second, first]);
      expect(await backups.prune(2)).to.deep.equal([first]);
      expect(await backups.list()).to.deep.equal([third, second]);
    });
  });
}
