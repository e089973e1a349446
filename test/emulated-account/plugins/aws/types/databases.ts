import {
  AddTagsToResourceCommand,
  type ApplyMethod,
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  CreateDBSubnetGroupCommand,
  type DBInstance,
  DeleteDBInstanceCommand,
  DeleteDBParameterGroupCommand,
  DeleteDBSubnetGroupCommand,
  DescribeDBInstancesCommand,
  DescribeDBParameterGroupsCommand,
  DescribeDBSubnetGroupsCommand,
  ModifyDBInstanceCommand,
  ModifyDBParameterGroupCommand,
  ModifyDBSubnetGroupCommand,
  RemoveTagsFromResourceCommand,
} from '@aws-sdk/client-rds';
import type { Unwrap } from '@pulumi/pulumi';
import type { InstanceArgs } from '@pulumi/aws/rds/instance.js';
import type { ParameterGroupArgs } from '@pulumi/aws/rds/parameterGroup.js';
import type { SubnetGroupArgs } from '@pulumi/aws/rds/subnetGroup.js';
import { codeOf, isMissing } from '../../../../../infra/aws/runtime/client/errors.ts';
import { messageOf } from '../../../../../infra/lib/errors.ts';
import { Unready } from '../../serve.ts';
import { resource, type Context, type Table } from '../../handler.ts';
import { until, waits } from '../wait.ts';
import { tagChange, tagList, tagMap } from './tags.ts';

/** The real plug-in's default. */
const description = 'Managed by Pulumi';

async function retag(arn: unknown, old: unknown, wanted: Record<string, string> | undefined, { clients }: Context) {
  const { added, removed } = tagChange(old, wanted);
  const ResourceName = arn as string;
  if (removed.length > 0)
    await clients.databases.send(new RemoveTagsFromResourceCommand({ ResourceName, TagKeys: removed }));
  if (Object.keys(added).length > 0)
    await clients.databases.send(new AddTagsToResourceCommand({ ResourceName, Tags: tagList(added) }));
}

type Inputs = Unwrap<InstanceArgs>;

/** Properties that can be changed on a running instance. */
const changeable = (inputs: Inputs) => ({
  DBInstanceClass: inputs.instanceClass,
  AllocatedStorage: inputs.allocatedStorage,
  MaxAllocatedStorage: inputs.maxAllocatedStorage,
  EngineVersion: inputs.engineVersion,
  DBParameterGroupName: inputs.parameterGroupName,
  VpcSecurityGroupIds: inputs.vpcSecurityGroupIds,
  MultiAZ: inputs.multiAz,
  BackupRetentionPeriod: inputs.backupRetentionPeriod,
  DeletionProtection: inputs.deletionProtection,
  CopyTagsToSnapshot: inputs.copyTagsToSnapshot,
  AutoMinorVersionUpgrade: inputs.autoMinorVersionUpgrade,
  PubliclyAccessible: inputs.publiclyAccessible,
  EnablePerformanceInsights: inputs.performanceInsightsEnabled,
  PerformanceInsightsKMSKeyId: inputs.performanceInsightsKmsKeyId,
  PerformanceInsightsRetentionPeriod: inputs.performanceInsightsRetentionPeriod,
  StorageType: inputs.storageType,
});

const computed = (found: DBInstance) => ({
  address: found.Endpoint?.Address,
  port: found.Endpoint?.Port,
  endpoint: `${found.Endpoint?.Address}:${found.Endpoint?.Port}`,
  arn: found.DBInstanceArn,
  resourceId: found.DbiResourceId,
  engineVersionActual: found.EngineVersion,
  status: found.DBInstanceStatus,
  masterUserSecrets:
    found.MasterUserSecret === undefined
      ? []
      : // Without the secret's status, which changes by itself.
        [
          {
            secretArn: found.MasterUserSecret.SecretArn,
            kmsKeyId: found.MasterUserSecret.KmsKeyId,
          },
        ],
});

const instance = resource<InstanceArgs>({
  autoName: { property: 'identifier' },
  replaces: ['identifier', 'engine', 'dbName', 'username', 'storageEncrypted', 'kmsKeyId', 'dbSubnetGroupName'],
  async create(inputs, context) {
    const identifier = inputs.identifier as string;
    await context.clients.databases.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: identifier,
        Engine: inputs.engine,
        DBName: inputs.dbName,
        Port: inputs.port,
        DBSubnetGroupName: inputs.dbSubnetGroupName,
        MasterUsername: inputs.username,
        MasterUserPassword: inputs.password,
        ManageMasterUserPassword: inputs.manageMasterUserPassword,
        MasterUserSecretKmsKeyId: inputs.masterUserSecretKmsKeyId,
        StorageEncrypted: inputs.storageEncrypted,
        KmsKeyId: inputs.kmsKeyId,
        EnableCloudwatchLogsExports: inputs.enabledCloudwatchLogsExports,
        ...changeable(inputs),
        DBInstanceClass: inputs.instanceClass,
        Tags: tagList(inputs.tags),
      }),
    );
    const made = await available(identifier, context).catch((error: unknown) => messageOf(error));
    if (typeof made === 'string') return { id: identifier, unready: made };
    return { id: identifier, outputs: computed(made) };
  },
  async read(_id, { identifier }, context) {
    const found = await describe(identifier as string, context);
    if (found === undefined) return undefined;
    const { status: _changing, ...observed } = computed(found);
    return {
      ...observed,
      instanceClass: found.DBInstanceClass,
      allocatedStorage: found.AllocatedStorage,
      multiAz: found.MultiAZ,
      backupRetentionPeriod: found.BackupRetentionPeriod,
      deletionProtection: found.DeletionProtection,
      publiclyAccessible: found.PubliclyAccessible,
      parameterGroupName: found.DBParameterGroups?.[0]?.DBParameterGroupName,
      tags: tagMap(found.TagList),
    };
  },
  async update({ id, inputs, state, changed }, context) {
    const identifier = inputs.identifier as string;
    if (changed('tags')) await retag(state['arn'], state.tags, inputs.tags, context);
    refuseMajor(state.engineVersion, inputs.engineVersion);
    const ApplyImmediately = inputs.applyImmediately ?? false;
    const request = { DBInstanceIdentifier: identifier, ...changeable(inputs), ApplyImmediately };
    await context.clients.databases.send(new ModifyDBInstanceCommand(request));
    try {
      return computed(await available(identifier, context));
    } catch (error) {
      throw new Unready(id, {}, messageOf(error));
    }
  },
  async delete(_id, state, context) {
    const identifier = state.identifier as string;
    const keeps = state.skipFinalSnapshot !== true;
    await context.clients.databases.send(
      new DeleteDBInstanceCommand({
        DBInstanceIdentifier: identifier,
        SkipFinalSnapshot: !keeps,
        ...(keeps ? { FinalDBSnapshotIdentifier: state.finalSnapshotIdentifier } : {}),
        DeleteAutomatedBackups: state.deleteAutomatedBackups ?? true,
      }),
    );
    await until(`the instance ${identifier} to be gone`, async () =>
      (await describe(identifier, context)) === undefined ? true : undefined,
    );
  },
});

/** Throws RDS's error for a major upgrade without AllowMajorVersionUpgrade. */
function refuseMajor(from: string | undefined, to: string | undefined): void {
  if (from === undefined || from.split('.')[0] === to?.split('.')[0]) return;
  throw new Error(
    'InvalidParameterCombination: The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.',
  );
}

async function describe(identifier: string, { clients }: Context): Promise<DBInstance | undefined> {
  try {
    const asked = new DescribeDBInstancesCommand({ DBInstanceIdentifier: identifier });
    return (await clients.databases.send(asked)).DBInstances?.[0];
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Statuses that an instance does not leave by itself. */
const broken = /^(failed|incompatible|inaccessible|restore-error|storage-full)/;

const available = (identifier: string, context: Context): Promise<DBInstance> =>
  until(`the instance ${identifier} to be available`, async () => {
    const found = await describe(identifier, context);
    if (found === undefined) throw new Error(`the instance ${identifier} is gone`);
    if (broken.test(found.DBInstanceStatus ?? ''))
      throw new Error(`the instance ${identifier} is ${found.DBInstanceStatus}`);
    return found.DBInstanceStatus === 'available' || !waits ? found : undefined;
  });

/** Limit of RDS per call. */
const parametersPerCall = 20;

async function setParameters({ name, parameters }: Unwrap<ParameterGroupArgs>, { clients }: Context): Promise<void> {
  const all = (parameters ?? []).map(({ name: ParameterName, value, applyMethod }) => ({
    ParameterName,
    ParameterValue: value,
    ApplyMethod: (applyMethod ?? 'immediate') as ApplyMethod,
  }));
  for (let i = 0; i < all.length; i += parametersPerCall)
    await clients.databases.send(
      new ModifyDBParameterGroupCommand({
        DBParameterGroupName: name,
        Parameters: all.slice(i, i + parametersPerCall),
      }),
    );
}

const parameterGroup = resource<ParameterGroupArgs>({
  autoName: { property: 'name' },
  defaults: { description },
  replaces: ['name', 'family', 'description'],
  async create(inputs, context) {
    const { DBParameterGroup } = await context.clients.databases.send(
      new CreateDBParameterGroupCommand({
        DBParameterGroupName: inputs.name,
        DBParameterGroupFamily: inputs.family,
        Description: inputs.description,
        Tags: tagList(inputs.tags),
      }),
    );
    await setParameters(inputs, context);
    return { id: inputs.name as string, outputs: { arn: DBParameterGroup?.DBParameterGroupArn } };
  },
  async read(id, _state, { clients }) {
    const asked = new DescribeDBParameterGroupsCommand({ DBParameterGroupName: id });
    const { DBParameterGroups } = await clients.databases.send(asked);
    return DBParameterGroups?.[0] && { arn: DBParameterGroups[0].DBParameterGroupArn };
  },
  async update({ inputs, state, changed }, context) {
    if (changed('tags')) await retag(state['arn'], state.tags, inputs.tags, context);
    if (changed('parameters')) await setParameters(inputs, context);
  },
  async delete(id, _state, { clients }) {
    await whenUnused(() => clients.databases.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: id })));
  },
});

const subnetGroup = resource<SubnetGroupArgs>({
  autoName: { property: 'name' },
  defaults: { description },
  replaces: ['name'],
  async create(inputs, { clients }) {
    const { DBSubnetGroup } = await clients.databases.send(
      new CreateDBSubnetGroupCommand({
        DBSubnetGroupName: inputs.name,
        DBSubnetGroupDescription: inputs.description,
        SubnetIds: inputs.subnetIds,
        Tags: tagList(inputs.tags),
      }),
    );
    return { id: inputs.name as string, outputs: { arn: DBSubnetGroup?.DBSubnetGroupArn } };
  },
  async read(id, _state, { clients }) {
    const { DBSubnetGroups } = await clients.databases.send(
      new DescribeDBSubnetGroupsCommand({ DBSubnetGroupName: id }),
    );
    const found = DBSubnetGroups?.[0];
    return {
      arn: found?.DBSubnetGroupArn,
      subnetIds: found?.Subnets?.map(({ SubnetIdentifier }) => SubnetIdentifier),
    };
  },
  async update({ id, inputs, state, changed }, context) {
    if (changed('tags')) await retag(state['arn'], state.tags, inputs.tags, context);
    if (changed('subnetIds'))
      await context.clients.databases.send(
        new ModifyDBSubnetGroupCommand({ DBSubnetGroupName: id, SubnetIds: inputs.subnetIds }),
      );
  },
  async delete(id, _state, { clients }) {
    await whenUnused(() => clients.databases.send(new DeleteDBSubnetGroupCommand({ DBSubnetGroupName: id })));
  },
});

/** Retries while an instance that was just deleted still uses the group. */
const whenUnused = (act: () => Promise<unknown>): Promise<true> =>
  until(
    'the group to be out of use',
    async () => {
      try {
        await act();
        return true;
      } catch (error) {
        if (/InvalidDB|InUse/.test(codeOf(error))) return undefined;
        throw error;
      }
    },
    60_000,
  );

export const databases: Table = {
  'aws:rds/instance:Instance': instance,
  'aws:rds/parameterGroup:ParameterGroup': parameterGroup,
  'aws:rds/subnetGroup:SubnetGroup': subnetGroup,
};
