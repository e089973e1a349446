import { expect } from 'chai';
import { withClient } from '../../../../../../automation/data/connect.ts';
import { databaseIdentity } from '../../../../../../automation/data/schema.ts';
import { empty } from '../../../../../../automation/release/steps/data/empty.ts';
import type { Environment } from '../../../../../../infra/platform/environment.ts';
import { OperationError } from '../../../../../../infra/lib/errors.ts';
import type { Split } from '../../../../../../infra/model.ts';
import { grantWrites, revokeWrites } from '../../../../../../infra/application/roles.ts';
import { createRig, schemaV1, value, type Rig } from '../../../data/rig.ts';

/** What the stages hand to `empty`, with a balancer that says `split`. */
const contextWith = (split: Split | undefined | Error) => ({
  act: <T>(_id: string, _what: string, run: () => Promise<T>) => run(),
  connect: () =>
    Promise.resolve({
      router: {
        read: () =>
          split instanceof Error ? Promise.reject(split) : Promise.resolve({ split, holdMs: 0, servers: [] }),
      },
    } as unknown as Environment),
});
const liveOnBlue = { live: 'blue', percent: 0 } as const;
const liveOnGreen = { live: 'green', percent: 0 } as const;

describe('emptying a database', function () {
  this.timeout(120_000);
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  beforeEach(() => rig.fresh(schemaV1));
  afterEach(() => admin('COMMENT ON DATABASE app IS NULL'));

  const admin = (sql: string) => withClient(rig.blue.access, 'admin', async (client) => void (await client.query(sql)));
  const identity = () => withClient(rig.blue.access, 'admin', databaseIdentity);
  const emptyBlue = (split: Split | undefined | Error, options?: { evenIfLive: boolean }) =>
    empty(contextWith(split), 'production', 'blue', rig.blue.access, options);
  const refusal = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => 'nothing was refused',
      (error: OperationError) => `${error.name}: ${error.message}`,
    );
  /** All rows are there, and the application still writes. */
  const unharmed = async () => {
    expect(await value<string>(rig.blue, 'SELECT count(*)::text FROM accounts')).to.equal('500');
    await withClient(rig.blue.access, 'app', (client) =>
      client.query("UPDATE accounts SET balance = 1 WHERE email LIKE 'user1@%'"),
    );
  };

  it('is refused for the live one, by the balancer or by the application’s rights, which stay as they are', async () => {
    await admin(`COMMENT ON DATABASE app IS 'greenlight: production-blue'`);
    expect(await refusal(emptyBlue(liveOnBlue))).to.include('it is live by the balancer');
    await unharmed();
    for (const split of [undefined, liveOnGreen]) {
      expect(await refusal(emptyBlue(split))).to.include('the application may write to it');
      await unharmed();
    }
  });

  it('is refused where the balancer does not tell who is live', async () => {
    await admin(revokeWrites);
    const refused = await refusal(emptyBlue(new OperationError('reading the split', 'it does not answer', 'start it')));
    expect(refused).to.include('it does not answer');
    await admin(grantWrites);
    await unharmed();
  });

  it('is refused for the database of another environment or colour', async () => {
    for (const other of ['staging-blue', 'production-green']) {
      await admin(`COMMENT ON DATABASE app IS 'greenlight: ${other}'`);
      expect(await refusal(emptyBlue(liveOnGreen))).to.include(`it says that it is ${other}, not production-blue`);
      expect(await refusal(emptyBlue(undefined, { evenIfLive: true }))).to.include(`it says that it is ${other}`);
    }
    await unharmed();
  });

  it('goes on for the idle one, which then says what it is', async () => {
    await admin(revokeWrites);
    for (const known of ['NULL', `'greenlight: production-blue'`, `'a comment of somebody'`]) {
      await admin(`COMMENT ON DATABASE app IS ${known}`);
      await emptyBlue(liveOnGreen);
      expect(await value<null>(rig.blue, `SELECT to_regclass('accounts')`)).to.equal(null);
      expect(await identity()).to.equal('production-blue');
    }
  });

  it('goes on for a live one where the caller says so, and takes its right to write', async () => {
    await admin(`COMMENT ON DATABASE app IS 'greenlight: production-blue'`);
    await emptyBlue(liveOnBlue, { evenIfLive: true });
    expect(await value<null>(rig.blue, `SELECT to_regclass('accounts')`)).to.equal(null);
    const held = await withClient(rig.blue.access, 'admin', (client) =>
      client.query<{ yes: boolean }>(`SELECT pg_has_role('app', 'app_writer', 'MEMBER') AS yes`),
    );
    expect(held.rows[0]?.yes).to.equal(false);
  });
});
