import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { databaseUrl } from '../../../../../infra/application/database-url.ts';
import { Layout } from '../../../../../infra/local/lib/layout.ts';
import { createLocalBackups } from '../../../../../infra/local/postgres/backups.ts';
import { clusterAccess, startCluster, stopCluster } from '../../../../../infra/local/postgres/cluster.ts';
import { giveToServer } from '../../../../../infra/local/postgres/create.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import type { Backup, Backups } from '../../../../../infra/platform/backups.ts';
import { backupsContract } from '../../../../contract/backups.ts';
import { connected, openDatabaseEnvironment, query, rejection, type DatabaseEnvironment } from './environment.ts';

backupsContract('local', async () => {
  const { layout, spec, databases, close } = await openDatabaseEnvironment('blue');
  return { backups: createLocalBackups(layout, spec), databases, close };
});

describe('a local backup', () => {
  let environment: DatabaseEnvironment;
  let backups: Backups;
  let backup: Backup;
  before(async () => {
    environment = await openDatabaseEnvironment('blue', 'green');
    await query(
      blue(),
      'owner',
      "CREATE TABLE lessons AS SELECT n AS id, 'lesson ' || n AS title FROM generate_series(1, 5000) n",
    );
    backups = createLocalBackups(environment.layout, environment.spec);
    backup = await backups.take('blue', '1.0.0', { percent: 0 });
  });
  after(() => environment.close());
  const blue = () => clusterAccess(environment.cluster.blue);
  const green = () => clusterAccess(environment.cluster.green);

  /** Lets `damage` change one part of the backup, gives what verification says, and puts the part back as it was. */
  async function verifiedAfter(part: string, damage: (path: string) => Promise<unknown>): Promise<string> {
    const path = join(backup.location, part);
    const kept = join(environment.layout.directory, 'kept');
    await cp(path, kept, { recursive: true });
    try {
      await damage(path);
      const error = await rejection(backups.verify(backup));
      expect(error).to.be.instanceOf(OperationError);
      return error.message;
    } finally {
      await rm(path, { recursive: true, force: true });
      await rename(kept, path);
    }
  }

  it('has the files of users too, which are restored and compared with it', async () => {
    const files = [{ name: 'uploads', maxMegabytes: 1 }];
    const { layout, spec } = environment;
    await mkdir(layout.files('uploads'), { recursive: true });
    await writeFile(join(layout.files('uploads'), 'face.png'), 'a picture');
    const own = createLocalBackups(layout, { ...spec, files });
    const taken = await own.take('blue', '1.0.0', {});
    expect(taken.files).to.deep.equal({ count: 1, bytes: 9 });
    await own.verify(taken);
    await (await own.restore(taken)).dispose();
    const copy = join(taken.location, 'files', 'uploads', 'face.png');
    await writeFile(copy, 'b picture');
    const expected = 'files/uploads/face.png does not match its checksum';
    expect((await rejection(own.verify(taken))).message).to.contain(expected);
    expect((await rejection(own.restore(taken))).message).to.contain('1 differ from what was read: uploads/face.png');
    await rm(copy);
    expect((await rejection(own.verify(taken))).message).to.contain('face.png is missing');
    // Neither a scratch cluster nor a copy is left.
    expect(await readdir(layout.scratch())).to.deep.equal([]);
    await rm(taken.location, { recursive: true });
  });

  async function flipOneBit(file: string, at: number): Promise<void> {
    const content = await readFile(file);
    const position = Math.floor(at * (content.length - 1));
    content.writeUInt8(content.readUInt8(position) ^ 1, position);
    await writeFile(file, content);
  }

  /** A file of each kind. */
  async function samples(): Promise<string[]> {
    const [row] = await query(blue(), 'admin', "SELECT pg_relation_filepath('lessons') AS path");
    const [segment] = (await readdir(join(backup.location, 'data/pg_wal'))).filter((name) =>
      /^[0-9A-F]{24}$/.test(name),
    );
    return [
      'backup.json',
      'configuration.json',
      'data/backup_manifest',
      'data/global/pg_control',
      'data/PG_VERSION',
      'data/postgresql.conf',
      'data/postgresql.auto.conf',
      `data/${String(row?.['path'])}`,
      `data/pg_wal/${String(segment)}`,
    ];
  }

  it('is found damaged when one bit of it is flipped, anywhere, and says where', async () => {
    for (const file of await samples()) {
      for (const at of [0, 0.37, 1]) {
        const message = await verifiedAfter(file, (path) => flipOneBit(path, at));
        expect(message, `${file} at ${at}`).to.contain(basename(file));
      }
    }
    expect(await backups.verify(backup)).to.deep.equal({ percent: 0 });
  });

  it('is found damaged when a file is cut off, missing or too many', async () => {
    for (const file of await samples()) {
      expect(await verifiedAfter(file, (path) => truncate(path, 1)), `${file} cut`).to.contain(basename(file));
      expect(await verifiedAfter(file, (path) => rm(path)), `${file} gone`).to.contain(basename(file));
    }
    for (const folder of ['data/base/1', 'data/pg_wal']) {
      const message = await verifiedAfter(folder, (path) => writeFile(join(path, '99999'), ''));
      expect(message, folder).to.contain('99999');
    }
  });

  it('is found damaged when a file was added that makes a server wait for another one', async () => {
    for (const file of ['standby.signal', 'recovery.signal']) {
      const message = await verifiedAfter('data/global', () => writeFile(join(backup.location, 'data', file), ''));
      await rm(join(backup.location, 'data', file));
      expect(message).to.contain(`data/${file} does not belong to the backup`);
    }
  });

  it('is found damaged when something lies beside its data, or an empty directory is gone', async () => {
    const beside = await verifiedAfter('configuration.json', () => writeFile(join(backup.location, 'notes'), ''));
    await rm(join(backup.location, 'notes'));
    expect(beside).to.contain('notes does not belong to the backup');
    for (const folder of ['data/pg_notify', 'data/pg_replslot', 'data/pg_tblspc'])
      expect(await verifiedAfter(folder, (path) => rm(path, { recursive: true }))).to.contain(`${folder} is missing`);
    await backups.verify(backup);
  });

  it('is refused when its data is that of another database', async () => {
    const other = await backups.take('green', '1.0.0', {});
    const message = await verifiedAfter('data', async (path) => {
      await rm(path, { recursive: true });
      await rename(join(other.location, 'data'), path);
    });
    expect(message).to.match(/data has the system identifier \d+ instead of \d+/);
    await rm(other.location, { recursive: true });
  });

  it('is refused in another environment, for another application, and under another name', async () => {
    const { layout, spec } = environment;
    const elsewhere = createLocalBackups(new Layout('production', layout.directory), {
      ...spec,
      environment: 'production',
    });
    expect((await rejection(elsewhere.verify(backup))).message).to.contain(
      'its environment is staging instead of production',
    );
    const another = createLocalBackups(layout, { ...spec, application: 'another' });
    expect((await rejection(another.verify(backup))).message).to.contain(
      'its application is sample instead of another',
    );
    expect((await rejection(backups.verify({ ...backup, version: '9.9.9' }))).message).to.contain(
      'its version is 1.0.0 instead of 9.9.9',
    );
    expect((await rejection(backups.restore({ ...backup, id: '../../blue' }))).message).to.contain(
      'is not a valid backup id',
    );
  });

  it('is not half-made where there is no space for it', async function () {
    const place = environment.layout.backups();
    await rename(place, `${place}.away`);
    await mkdir(place);
    try {
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', place], { stdio: 'pipe' });
      } catch {
        this.skip();
      }
      const error = await rejection(backups.take('blue', '1.0.0', {}));
      expect(error.message).to.match(
        /^backing up staging-blue: 8 MB are free in .*, but \d+ MB are needed\n {2}free disk space/,
      );
      expect(await readdir(place)).to.deep.equal([]);
    } finally {
      try {
        execFileSync('umount', [place], { stdio: 'pipe' });
      } catch {
        // It was not mounted.
      }
      await rm(place, { recursive: true });
      await rename(`${place}.away`, place);
    }
  });

  it('says what is wrong where it cannot be written, or its database is down, and leaves nothing', async () => {
    const place = environment.layout.backups();
    await rename(place, `${place}.away`);
    await writeFile(place, 'a file');
    expect((await rejection(backups.take('blue', '1.0.0', {}))).message).to.match(
      /^backing up staging-blue: .*(EEXIST|ENOTDIR)/,
    );
    await rm(place);
    await rename(`${place}.away`, place);
    await stopCluster(environment.cluster.green);
    expect((await rejection(backups.take('green', '1.0.0', {}))).message).to.match(
      /^backing up staging-green: .*ECONNREFUSED/,
    );
    await startCluster(environment.cluster.green);
    expect(await readdir(place)).to.deep.equal([backup.id]);
  });

  it('comes back without any tie to other databases', async () => {
    await query(blue(), 'owner', 'CREATE TABLE pupils (id int PRIMARY KEY)');
    await query(green(), 'owner', 'CREATE TABLE pupils (id int PRIMARY KEY)');
    await query(blue(), 'admin', 'CREATE PUBLICATION forward FOR TABLE pupils');
    await query(green(), 'admin', 'CREATE PUBLICATION backward FOR TABLE pupils');
    await query(green(), 'admin', "SELECT pg_create_logical_replication_slot('backward', 'pgoutput')");
    await query(green(), 'admin', "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    await connected(green(), 'admin', async (lock) => {
      // The initial copy waits for this lock. A subscription that is dropped meanwhile drops the slot of that copy at its publisher
      // too: at the live one, were it done so in the restored cluster.
      await lock.query('BEGIN; LOCK TABLE pupils IN SHARE MODE');
      await query(
        green(),
        'admin',
        `CREATE SUBSCRIPTION forward CONNECTION '${databaseUrl(blue(), 'admin')}' PUBLICATION forward`,
      );
      const [copying] = await query(
        green(),
        'admin',
        `SELECT srsubstate AS state, format('pg_%s_sync_%s_%s', srsubid, srrelid, system_identifier) AS slot
         FROM pg_subscription_rel, pg_control_system()`,
      );
      expect(copying?.['state']).to.be.oneOf(['i', 'd']);
      await query(
        blue(),
        'admin',
        `SELECT pg_create_logical_replication_slot('${String(copying?.['slot'])}', 'pgoutput')`,
      );
      const slots = () => query(blue(), 'admin', 'SELECT slot_name FROM pg_replication_slots ORDER BY 1');
      const before = await slots();
      expect(before).to.have.lengthOf(2);
      const restored = await backups.restore(await backups.take('green', '1.0.0', {}));
      try {
        const [ties] = await query(
          restored.access,
          'admin',
          `SELECT (SELECT count(*)::int FROM pg_subscription) AS subscriptions, (SELECT count(*)::int FROM pg_publication) AS publications,
           (SELECT count(*)::int FROM pg_replication_slots) AS slots, current_setting('synchronous_standby_names') AS standbys`,
        );
        expect(ties).to.deep.equal({ subscriptions: 0, publications: 0, slots: 0, standbys: '' });
        await query(restored.access, 'owner', 'INSERT INTO pupils VALUES (1)');
      } finally {
        await restored.dispose();
      }
      expect(await slots()).to.deep.equal(before);
    });
    expect(await query(green(), 'admin', 'SELECT subenabled FROM pg_subscription')).to.deep.equal([
      { subenabled: true },
    ]);
    // Once its server is started again, commits of other tests would wait for nobody.
    await query(green(), 'admin', 'ALTER SYSTEM RESET synchronous_standby_names');
  });

  it('leaves what a crashed run had begun to the next one, which removes it', async () => {
    const gone = execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim();
    const begun = join(environment.layout.backups(), `20200101T000000000Z-blue-0000.partial-${gone}`);
    await mkdir(join(begun, 'data'), { recursive: true });
    expect((await backups.list()).map(({ id }) => id)).to.contain(backup.id);
    await backups.take('blue', '1.0.1', {});
    expect((await readdir(environment.layout.backups())).filter((name) => name.includes('partial'))).to.deep.equal([]);
  });

  it('has the tablespaces, which come back in the directory of the scratch cluster', async () => {
    const space = await mkdtemp(join(tmpdir(), 'greenlight-space = '));
    await giveToServer(space);
    await query(blue(), 'admin', `CREATE TABLESPACE fast OWNER owner LOCATION '${space}'`);
    await query(blue(), 'owner', 'CREATE TABLE apart (id int) TABLESPACE fast');
    await query(blue(), 'owner', 'INSERT INTO apart SELECT generate_series(1, 100)');
    const taken = await backups.take('blue', '1.0.0', { percent: 0 });
    expect(await backups.verify(taken)).to.deep.equal({ percent: 0 });
    const [file] = (await readdir(join(taken.location, 'tablespaces'), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    await query(blue(), 'owner', 'DROP TABLE apart');
    await query(blue(), 'admin', 'DROP TABLESPACE fast');
    await rm(space, { recursive: true });
    const scratch = await backups.restore(taken);
    try {
      expect(await query(scratch.access, 'app', 'SELECT count(*)::int AS n FROM apart')).to.deep.equal([{ n: 100 }]);
      const [{ place } = {}] = await query(
        scratch.access,
        'admin',
        "SELECT pg_tablespace_location(oid) AS place FROM pg_tablespace WHERE spcname = 'fast'",
      );
      expect(place).to.include(environment.layout.scratch());
    } finally {
      await scratch.dispose();
    }
    await flipOneBit(file ?? '', 0.5);
    expect((await rejection(backups.verify(taken))).message).to.include('pg_tblspc');
  });

  it('comes back without the prepared transactions that were open, and their locks [N6]', async () => {
    await query(green(), 'owner', 'CREATE TABLE orders (id int); INSERT INTO orders VALUES (1)');
    await query(green(), 'admin', 'ALTER SYSTEM SET max_prepared_transactions = 7');
    await stopCluster(environment.cluster.green);
    await startCluster(environment.cluster.green);
    await query(green(), 'owner', `BEGIN; ALTER TABLE orders ADD note text; PREPARE TRANSACTION 'it''s two'`);
    const scratch = await backups.restore(await backups.take('green', '1.0.0', {}));
    try {
      expect(await query(scratch.access, 'admin', 'SELECT gid FROM pg_prepared_xacts')).to.deep.equal([]);
      expect(await query(scratch.access, 'owner', 'SELECT id FROM orders FOR UPDATE NOWAIT')).to.deep.equal([
        { id: 1 },
      ]);
    } finally {
      await scratch.dispose();
      await query(green(), 'owner', `ROLLBACK PREPARED 'it''s two'`);
    }
  });

  it('is taken and restored whatever the owner has set for the application [H1] [H2]', async () => {
    const hostile = [
      `idle_in_transaction_session_timeout = '1s'`,
      `statement_timeout = '20ms'`,
      `role = 'app_reader'`,
      'default_transaction_read_only = on',
    ];
    const set = hostile.map((setting) => `ALTER DATABASE app SET ${setting}; ALTER ROLE admin SET ${setting}`);
    await query(green(), 'admin', ['GRANT app_writer TO app', ...set].join('; '));
    const scratch = await backups.restore(await backups.take('green', '1.0.0', {}));
    try {
      const sql = `SELECT pg_has_role('app', 'app_writer', 'MEMBER') AS writes, current_setting('role') AS role`;
      expect(await query(scratch.access, 'admin', sql)).to.deep.equal([{ writes: false, role: 'app_reader' }]);
    } finally {
      await scratch.dispose();
    }
  });
});
