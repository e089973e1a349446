import { expect } from 'chai';
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  AddTagsToResourceCommand,
  DeleteDBSnapshotCommand,
  DescribeDBInstancesCommand,
  DescribeDBSnapshotsCommand,
} from '@aws-sdk/client-rds';
import { createAwsBackups, type AwsBackups } from '../../../../../../infra/aws/runtime/backups/backups.ts';
import { createAwsDatabases, type AwsDatabases } from '../../../../../../infra/aws/runtime/databases/databases.ts';
import type { Backup } from '../../../../../../infra/platform/backups.ts';
import { grantWrites } from '../../../../../../infra/application/roles.ts';
import { backupsContract } from '../../../../../contract/backups.ts';
import { query, refusal } from '../../../../../contract/databases.ts';
import { openAccount, quick, type Account } from '../../setting.ts';

async function open() {
  const account = await openAccount();
  await account.addColour('blue');
  await account.databasesPart.settled();
  const options = { ...account, waits: quick };
  const databases = createAwsDatabases(options);
  return { account, databases, backups: createAwsBackups({ ...options, databases }), close: () => account.close() };
}

backupsContract('aws', open);

describe('backups of RDS', () => {
  let account: Account;
  let databases: AwsDatabases;
  let backups: AwsBackups;
  let backup: Backup;
  before(async () => {
    ({ account, databases, backups } = await open());
    await query(await databases.of('blue'), 'owner', 'CREATE TABLE marks AS SELECT 1 AS mark');
    backup = await backups.take('blue', '1.0.0', { live: 'blue' });
  });
  after(() => account.close());
  afterEach(() => account.gateway.faults.clear());

  const record = () => ({
    Bucket: account.settings.state.bucket,
    Key: `greenlight/backups/staging/${backup.id}.json`,
  });
  const snapshot = (id = backup.id) => `sample-staging-${id}`;
  const snapshots = async (): Promise<string[]> => {
    const { DBSnapshots } = await account.clients.databases.send(new DescribeDBSnapshotsCommand({}));
    return (DBSnapshots ?? []).map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier ?? '').sort();
  };
  const instances = async (): Promise<string[]> => {
    const { DBInstances } = await account.clients.databases.send(new DescribeDBInstancesCommand({}));
    return (DBInstances ?? []).map(({ DBInstanceIdentifier }) => DBInstanceIdentifier ?? '');
  };
  /** Runs `work` with the record replaced, and puts it back. */
  async function withRecord(change: (text: string) => string | undefined, work: () => Promise<void>): Promise<void> {
    const { objects } = account.clients;
    const text = (await (await objects.send(new GetObjectCommand(record()))).Body?.transformToString()) ?? '';
    const changed = change(text);
    if (changed === undefined) await objects.send(new DeleteObjectCommand(record()));
    else await objects.send(new PutObjectCommand({ ...record(), Body: changed }));
    await work().finally(() => objects.send(new PutObjectCommand({ ...record(), Body: text })));
  }

  it('are encrypted: the snapshot by its database, the record by the key of the state', async () => {
    const head = await account.clients.objects.send(new HeadObjectCommand(record()));
    expect(head).to.include({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: account.settings.state.key });
    expect(backup.location).to.equal(`snapshot ${snapshot()}, s3://${record().Bucket}/${record().Key}`);
  });

  it('are found damaged where the record was changed, and are not offered', () =>
    withRecord(
      (text) => text.replace('"live": "blue"', '"live": "green"'),
      async () => {
        expect(await refusal(backups.verify(backup))).to.contain('does not match its own checksum');
        expect(await backups.list()).to.deep.equal([]);
      },
    ));

  it('are found damaged where the record is missing', () =>
    withRecord(
      () => undefined,
      async () => {
        expect(await refusal(backups.verify(backup))).to.contain('its record is missing');
      },
    ));

  it('are found damaged where the snapshot is not encrypted, or not there', async () => {
    const plain = await changing(
      (body) => body.replace('<Encrypted>true', '<Encrypted>false'),
      () => refusal(backups.verify(backup)),
    );
    expect(plain).to.contain('is not encrypted');
    const missing = { ...backup, id: backup.id.replace(/.{8}$/, '00000000') };
    expect(await refusal(backups.verify(missing))).to.contain('its record is missing');
  });

  /** Runs `work` while answers about snapshots are changed. */
  async function changing<T>(change: (body: string) => string, work: () => Promise<T>): Promise<T> {
    let on = true;
    const after = (_: unknown, answer: { status: number; headers: Record<string, string>; body: Buffer }) =>
      Promise.resolve(on ? { ...answer, body: Buffer.from(change(answer.body.toString())) } : undefined);
    account.gateway.use([{ service: 'rds', actions: ['DescribeDBSnapshots'], after }]);
    return work().finally(() => (on = false));
  }

  it('of another environment, or with a strange name, are refused', async () => {
    expect(await refusal(backups.verify({ ...backup, version: '9.9.9' }))).to.contain('of version 1.0.0, not 9.9.9');
    expect(await refusal(backups.verify({ ...backup, id: '../x' }))).to.contain('is not the name of one');
    expect(await refusal(backups.restore({ ...backup, id: '../x' }))).to.contain('is not the name of one');
  });

  it('come back without publications and subscriptions, fenced, with new passwords', async () => {
    const blue = await databases.of('blue');
    await query(blue, 'admin', 'CREATE PUBLICATION tie FOR ALL TABLES');
    await query(
      blue,
      'admin',
      `CREATE SUBSCRIPTION tie CONNECTION 'host=127.0.0.1 port=1' PUBLICATION tie WITH (connect = false, slot_name = 'tie')`,
    );
    await query(blue, 'admin', grantWrites);
    const tied = await backups.take('blue', '1.0.1', {});
    const restored = await backups.restore(tied);
    try {
      const ties =
        'SELECT (SELECT count(*) FROM pg_publication)::int AS p, (SELECT count(*) FROM pg_subscription)::int AS s';
      expect(await query(restored.access, 'admin', ties)).to.deep.equal([{ p: 0, s: 0 }]);
      expect(await query(blue, 'admin', ties)).to.deep.equal([{ p: 1, s: 1 }]);
      expect(await refusal(query(restored.access, 'app', 'INSERT INTO marks VALUES (2)'))).to.match(
        /permission denied/,
      );
      for (const role of ['admin', 'owner', 'app'] as const)
        expect(restored.access[role].password).not.to.equal(blue[role].password);
      expect(await query(restored.access, 'admin', 'SHOW max_logical_replication_workers')).to.deep.equal([
        { max_logical_replication_workers: '0' },
      ]);
    } finally {
      await restored.dispose();
    }
    await backups.prune(1);
    backup = tied;
  });

  it('that cannot be started leave no instance, and the error says what RDS said', async () => {
    const broken = await backups.take('blue', '1.0.2', {});
    await account.databasesPart.damage(snapshot(broken.id), 'start');
    expect(await refusal(backups.restore(broken))).to.match(/is incompatible-restore/);
    expect(await instances()).to.deep.equal(['sample-staging-blue']);
    await account.clients.databases.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: snapshot(broken.id) }));
    expect(await refusal(backups.verify(broken))).to.contain('is missing');
  });

  it('survive throttling and lost answers', async () => {
    account.gateway.faults.add({ kind: 'answer-lost', service: 'rds', action: 'CreateDBSnapshot', times: 1 });
    account.gateway.faults.add({ kind: 'throttling', service: 'rds', times: 2 });
    const taken = await backups.take('blue', '1.0.3', { text: 'x' });
    expect(await backups.verify(taken)).to.deep.equal({ text: 'x' });
    account.gateway.faults.add({ kind: 'answer-lost', service: 'rds', action: 'DeleteDBSnapshot', times: 1 });
    const [newest] = await backups.list();
    await backups.prune(1);
    expect(await backups.list()).to.deep.equal([newest]);
  });

  it('that could not be recorded leave no snapshot', async () => {
    const before = await snapshots();
    account.gateway.faults.add({ kind: 'expired-token', service: 's3', action: 'PUT' });
    expect(await refusal(backups.take('blue', '1.0.4', {}))).to.match(/ExpiredToken.*\n.*npm run resume/);
    expect(await snapshots()).to.deep.equal(before);
  });

  describe('when a run was killed', () => {
    const keyOf = ({ id }: Backup) => ({ ...record(), Key: `greenlight/backups/staging/${id}.json` });
    const described = async (name: string) =>
      (await account.clients.databases.send(new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: name })))
        .DBSnapshots?.[0];
    const temporaryTags = async (name: string) =>
      ((await described(name))?.TagList ?? []).flatMap(({ Key = '' }) =>
        /^greenlight-(?!backup)/.test(Key) ? [Key] : [],
      );
    /** As if another program had made it. */
    const disown = async (name: string) => {
      const Tags = [{ Key: 'greenlight-run', Value: 'another-machine:1' }];
      const ResourceName = (await described(name))?.DBSnapshotArn ?? '';
      await account.clients.databases.send(new AddTagsToResourceCommand({ ResourceName, Tags }));
    };
    /** The snapshot that a run leaves which is killed at `service`'s `action`: what it would clean up then, it cannot. */
    const killedAt = async (service: string, action: string): Promise<string> => {
      const before = await snapshots();
      const calls = [
        { service, action },
        { service: 's3', action: 'DELETE' },
        { service: 'rds', action: 'DeleteDBSnapshot' },
      ];
      for (const call of calls) account.gateway.faults.add({ kind: 'expired-token', ...call });
      await refusal(backups.take('blue', '1.0.6', {}));
      account.gateway.faults.clear();
      return (await snapshots()).find((name) => !before.includes(name)) ?? '';
    };
    const elsewhere = () => {
      const state = { ...account.settings.state, bucket: 'another' };
      return createAwsBackups({ ...account, settings: { ...account.settings, state }, databases, waits: quick });
    };

    it('sweeps a snapshot without a record that another run has made', async () => {
      const killed = await killedAt('s3', 'PUT');
      expect(await backups.sweep()).to.deep.equal([]);
      await disown(killed);
      expect(await elsewhere().sweep(), 'where nothing is known of its record').to.deep.equal([]);
      expect(await backups.sweep()).to.deep.equal([killed]);
      expect(await snapshots()).not.to.include(killed);
    });

    it('never sweeps a finished one, whatever became of its record', async () => {
      const whole = await backups.take('blue', '1.0.5', {});
      expect(await temporaryTags(snapshot(whole.id))).to.deep.equal([]);
      await disown(snapshot(whole.id));
      await account.clients.objects.send(new DeleteObjectCommand(keyOf(whole)));
      expect(await backups.sweep()).to.deep.equal([]);
      expect(await elsewhere().sweep()).to.deep.equal([]);
      expect(await snapshots()).to.include(snapshot(whole.id));
    });

    it('finishes one that was recorded already', async () => {
      const recorded = await killedAt('rds', 'RemoveTagsFromResource');
      await disown(recorded);
      expect(await backups.sweep()).to.deep.equal([]);
      expect(await temporaryTags(recorded)).to.deep.equal([]);
      expect((await backups.list())[0]?.location).to.contain(recorded);
    });

    it('sweeps what was to be deleted, and keeps it whole where its record is there still', async () => {
      const [old] = await backups.list();
      const newest = await backups.take('blue', '1.0.8', {});
      const cutAt = async (service: string, action: string) => {
        account.gateway.faults.add({ kind: 'expired-token', service, action });
        await refusal(backups.prune(1));
        account.gateway.faults.clear();
        await disown(snapshot(old?.id));
      };
      await cutAt('s3', 'DELETE');
      expect(await backups.sweep()).to.deep.equal([]);
      expect(await backups.list()).to.deep.include.members([newest, old]);
      await cutAt('rds', 'DeleteDBSnapshot');
      expect(await backups.sweep()).to.deep.equal([snapshot(old?.id)]);
    });
  });

  it('go back to a moment between two of them', async () => {
    const restored = await backups.restoreToTime('blue', new Date(Date.now() - 60_000));
    try {
      expect(await query(restored.access, 'app', 'SELECT mark FROM marks')).to.deep.equal([{ mark: 1 }]);
    } finally {
      await restored.dispose();
    }
    expect(await instances()).to.deep.equal(['sample-staging-blue']);
    expect(await refusal(backups.restoreToTime('blue', new Date(NaN)))).to.contain('it is no time');
  });
});
