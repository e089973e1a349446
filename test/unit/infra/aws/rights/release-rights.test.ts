import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { releaseRights, type PolicyDocument } from '../../../../../infra/aws/rights/release-rights.ts';
import { packageRoot } from '../../../../../infra/lib/paths.ts';
import { backupPolicy, boundaryName } from '../../../../../infra/aws/lib/names.ts';
import { statementsOf } from '../../../../../infra/policies/rule.ts';
import { declareEnvironment, settings } from '../../../../lib/declared.ts';

/** What stands for one's own values in docs/aws.md. */
const placeholders = {
  accountId: '<account>',
  region: '<region>',
  backupRegion: '<backup region>',
  hostedZoneId: '<hosted zone id>',
  stateBucket: '<state bucket>',
  stateKeyArn: '<ARN of the state key>',
};

/** Prefixes of actions where a client's or type's name is another. */
const prefixes: Record<string, string> = {
  'elastic-load-balancing-v2': 'elasticloadbalancing',
  'secrets-manager': 'secretsmanager',
  'cloudwatch-logs': 'logs',
  'route-53': 'route53',
  lb: 'elasticloadbalancing',
  alb: 'elasticloadbalancing',
  vpc: 'ec2',
  appautoscaling: 'application-autoscaling',
};
/** Calls whose right has another name. */
const rights: Record<string, string> = {
  's3:HeadObject': 's3:GetObject',
  's3:HeadBucket': 's3:ListBucket',
  's3:ListObjectsV2': 's3:ListBucket',
  's3:DeleteObjects': 's3:DeleteObject',
  's3:GetPublicAccessBlock': 's3:GetBucketPublicAccessBlock',
  'sqs:DeleteMessageBatch': 'sqs:DeleteMessage',
};

const matches = (pattern: string, text: string): boolean => new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(text);

const allows = (documents: PolicyDocument[], right: string): boolean =>
  documents
    .flatMap(({ Statement }) => Statement.flatMap(({ Action }) => Action))
    .some((action) => matches(action, right));

/** Every call of the run time, as `rds:CreateDBInstance`. */
async function calls(): Promise<string[]> {
  const directory = join(packageRoot, 'infra', 'aws', 'runtime');
  const sources = await Promise.all(
    (await readdir(directory, { recursive: true }))
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFile(join(directory, file), 'utf8')),
  );
  const found = sources.flatMap((source) =>
    [...source.matchAll(/import\s+(?:type\s+)?\{([^}]*)\}\s+from '@aws-sdk\/client-([a-z0-9-]+)'/g)].flatMap(
      ([, names = '', client = '']) =>
        [...names.matchAll(/\b(?:(\w+)Command|paginate(\w+))\b/g)].map(([, command, paginated]) => {
          const call = `${prefixes[client] ?? client}:${command ?? paginated}`;
          return rights[call] ?? call;
        }),
    ),
  );
  return [...new Set(found)].sort();
}

describe('rights to release', () => {
  const all = releaseRights(placeholders);
  const releasing = [all['greenlight-read'], all['greenlight-declare'], all['greenlight-release']];

  it('are shown in the document as they are in the code', async () => {
    const text = await readFile(join(packageRoot, 'docs', 'aws.md'), 'utf8');
    for (const [name, document] of Object.entries(all)) {
      const [, shown] = text.split(`\`${name}\`:\n`)[1]?.match(/^\s*```json\n([\s\S]*?)```/) ?? [];
      expect(shown, name).to.be.a('string');
      expect(JSON.parse(shown ?? ''), name).to.deep.equal(document);
    }
  });

  it('fit into managed policies, which have 6144 characters', () => {
    for (const [name, document] of Object.entries(all)) expect(JSON.stringify(document).length, name).to.be.below(6144);
  });

  it('allow every call of the run time', async () => {
    const missing = (await calls()).filter(
      (call) => !allows([all['greenlight-read'], all['greenlight-release']], call),
    );
    expect(missing).to.deep.equal([]);
  });

  it('allow to declare every kind of resource of the programs', async () => {
    const { all: declared } = await declareEnvironment('production', { live: 'blue', percent: 0 });
    const services = new Set(
      declared.map(({ type }) => /^aws:([a-z0-9]+)\//.exec(type)?.[1]).filter((service) => service !== undefined),
    );
    const actions = releasing.flatMap(({ Statement }) => Statement.flatMap(({ Action }) => Action));
    const missing = [...services].filter(
      (service) => !actions.some((action) => action.startsWith(`${prefixes[service] ?? service}:`)),
    );
    expect(missing).to.deep.equal([]);
  });

  it('allow to make a vault with a key, for which AWS Backup calls KMS with the rights of the caller', () => {
    // "Required permissions" to create a vault, in the guide of AWS Backup.
    const uses = ['CreateGrant', 'DescribeKey', 'RetireGrant', 'Decrypt', 'GenerateDataKey'].map((use) => `kms:${use}`);
    const needed = [...uses, 'backup:CreateBackupVault', 'backup-storage:MountCapsule'];
    expect(needed.filter((right) => !allows(releasing, right))).to.deep.equal([]);
  });

  it('make no administrator: a role gets rights within its boundary alone, and is given to services that have to have one', () => {
    const statements = releasing.flatMap(({ Statement }) => Statement);
    const conditions = (right: string) =>
      statements
        .filter(({ Action }) => Action.includes(right))
        .map(({ Condition }) => Condition?.['StringEquals'] ?? {});
    const boundaries = ['arn:aws:iam::<account>:policy/greenlight-boundary', backupPolicy];
    for (const right of ['iam:CreateRole', 'iam:PutRolePolicy'])
      expect(conditions(right), right).to.deep.equal([{ 'iam:PermissionsBoundary': boundaries }]);
    expect(conditions('iam:AttachRolePolicy').map((condition) => condition['iam:PolicyARN'])).to.deep.equal([
      backupPolicy,
    ]);
    for (const condition of conditions('iam:PassRole')) expect(condition).to.have.property('iam:PassedToService');
    for (const right of [
      'iam:PutRolePermissionsBoundary',
      'iam:DeleteRolePermissionsBoundary',
      'iam:SetDefaultPolicyVersion',
    ])
      expect(allows(releasing, right), right).to.equal(false);
  });

  it('leave within the boundary what the programs give their roles', async () => {
    const { all: declared } = await declareEnvironment('production', { live: 'blue', percent: 0 });
    const rolesOf = declared
      .filter(({ type }) => type === 'aws:iam/role:Role')
      .map(({ inputs }) => inputs['permissionsBoundary']);
    expect(new Set(rolesOf)).to.deep.equal(
      new Set([`arn:aws:iam::${settings.accountId}:policy/greenlight-boundary`, backupPolicy]),
    );
    const given = declared
      .filter(({ type }) => type === 'aws:iam/rolePolicy:RolePolicy')
      .flatMap(({ inputs }) => statementsOf(inputs['policy']));
    expect(given.length).to.be.above(5);
    const beyond = given.flatMap(({ Action }) => Action).filter((right) => !allows([all[boundaryName]], right));
    expect(beyond).to.deep.equal([]);
  });

  it('give no right to make policies, users or keys of access', () => {
    for (const right of ['iam:CreatePolicy', 'iam:CreatePolicyVersion', 'iam:CreateUser', 'iam:CreateAccessKey'])
      expect(allows(Object.values(all), right), right).to.equal(false);
  });
});
