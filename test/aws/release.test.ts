import { cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { paginateListSecrets, GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3';
import { expect } from 'chai';
import { CommandLine, expectFlawless, goesOnAfterKill, leaks, rollsBackInTheBakeTime } from '../e2e/command-line.ts';
import { startEmulated, stateBucket, type Emulated } from './emulated.ts';

/**
 * The main job on the platform `aws`, as a user does it, in an emulated account: the command line, the sample, the real engine
 * with the real programs, moto for the control plane, and real processes behind it. The steps build on each other.
 */
describe('a release on the platform aws, in an emulated account', function () {
  this.timeout(900_000);
  this.bail(true);

  let emulated: Emulated;
  let cli: CommandLine;
  before(async () => {
    emulated = await startEmulated();
    cli = new CommandLine(emulated.env['GREENLIGHT_HOME'] as string, 'test/aws/emulated.config.ts', emulated.env);
  });
  after(async () => {
    // What failed has to be looked at, and all of it goes with the account.
    const keep = process.env['GREENLIGHT_TEST_KEEP'];
    if (keep !== undefined && existsSync(cli.home)) cpSync(cli.home, keep, { recursive: true, force: true });
    await emulated?.close();
  });
  /** An emulation that went wrong proves nothing. */
  afterEach(() => {
    const { account, tasks, databases } = emulated;
    expect([...account.errors(), ...tasks.errors, ...databases.errors]).to.deep.equal([]);
  });

  it('takes the baseline live and then the next version, through all stages and gates', async () => {
    const { code, output } = await cli.run('release');
    expect(code, output).to.equal(0);
    expectFlawless(cli.report());
  });

  it('says that it was emulated', () => {
    expect(cli.report()).to.include({ platform: 'aws', emulatedBy: emulated.account.endpoint });
  });

  it('shows what is live', async () => {
    const { code, output } = await cli.run('status');
    expect(code).to.equal(0);
    expect(output).to.match(/green +2\.0\.0 +live +100 %/);
    expect(output).to.match(/blue +none +idle/);
  });

  it('holds no secret in journal, reports, logs and state', async () => {
    const secrets = await allSecrets(emulated);
    expect(secrets.length).to.be.greaterThan(6);
    expect(leaks([cli.releases, join(cli.home, 'engine')], secrets)).to.deep.equal([]);
    expect(await leakingObjects(emulated, secrets)).to.deep.equal([]);
  });

  it('rolls back in the bake time when asked from another terminal, with every write', () =>
    rollsBackInTheBakeTime(cli));

  it('goes on after it was killed in the middle of the canary', () => goesOnAfterKill(cli));

  it('stops with one message when the credentials end in the middle, and resumes', async () => {
    const release = cli.start('release');
    await release.until('  Canary');
    const fault = emulated.account.faults.add({ kind: 'expired-token', service: 'elasticloadbalancing' });
    const stopped = await release.done;
    fault.remove();
    expect(stopped.code, stopped.output).to.equal(1);
    expect(stopped.output).to.contain('log in again');
    const { code, output } = await cli.run('resume');
    expect(code, output).to.equal(0);
    const { verdict, writes } = cli.report();
    expect(verdict).to.equal('go');
    expect(writes).to.include({ lost: 0, duplicated: 0 });
    expect((await cli.run('status')).output).to.match(/green +2\.0\.0 +live +100 %/);
  });

  it('takes staging down, and refuses to take protected production down', async () => {
    const staging = await cli.run('destroy', '--environment', 'staging', '--yes');
    expect(staging.code, staging.output).to.equal(0);
    const production = await cli.run('destroy', '--environment', 'production', '--yes');
    expect(production.code).to.equal(1);
    expect(production.output).to.match(/protect/);
    expect((await cli.run('status')).output).to.match(/green +2\.0\.0 +live +100 %/);
  });
});

async function allSecrets({ account }: Emulated): Promise<string[]> {
  const client = new SecretsManagerClient(connection(account));
  const values: string[] = [];
  for await (const { SecretList = [] } of paginateListSecrets({ client }, {})) {
    for (const { ARN } of SecretList) {
      const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: ARN }));
      if (SecretString !== undefined) values.push(passwordOf(SecretString));
    }
  }
  client.destroy();
  return values;
}

/** Of a URL or of RDS's own JSON; anything else is a secret as a whole. */
function passwordOf(secret: string): string {
  if (secret.startsWith('{')) return (JSON.parse(secret) as { password?: string }).password ?? secret;
  return URL.canParse(secret) ? decodeURIComponent(new URL(secret).password) : secret;
}

async function leakingObjects({ account }: Emulated, secrets: string[]): Promise<string[]> {
  const client = new S3Client({ ...connection(account), forcePathStyle: true });
  const leaking: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: stateBucket })) {
    for (const { Key } of Contents) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: stateBucket, Key }));
      const text = (await Body?.transformToString('latin1')) ?? '';
      if (Key !== undefined && secrets.some((secret) => text.includes(secret))) leaking.push(Key);
    }
  }
  client.destroy();
  return leaking;
}

const connection = ({ endpoint, region }: Emulated['account']) => ({
  endpoint,
  region,
  credentials: { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' },
});
