import { randomBytes } from 'node:crypto';
import { paginateDescribeDBInstances, type DBInstance, type Tag } from '@aws-sdk/client-rds';
import type { DatabaseAccess, ScratchDatabase } from '../../../platform/databases.ts';
import { applicationDatabase } from '../../../application/roles.ts';
import { administrator } from '../../lib/names.ts';
import { databaseAuthority } from './authority.ts';
import { deleteInstance, endpointOf, untilAvailable, type InstanceWaits } from './instance.ts';
import { asOperationError, calling, codeOf } from '../client/errors.ts';
import { asTagList, fromTagList, isLeftOver, shortId, temporaryTags } from '../client/temporary.ts';
import type { Setting } from '../client/setting.ts';
/** How long a scratch instance may be needed, ms: longer than a release works on it. */
const lifeMs = 12 * 3_600_000;

const password = (): string => randomBytes(24).toString('hex');

/** Name of an instance for one purpose and one run. RDS allows at most 63 letters, digits and single hyphens. */
export const scratchIdentifier = (application: string, environment: string, kind: string, id = shortId()): string =>
  `${`${application}-${environment}`.slice(0, 40).replace(/-+$/, '')}-${kind}-${id}`;

export interface NewInstance {
  identifier: string;
  /** Settings that every scratch instance has: network, parameters, tags. */
  common: {
    DBSubnetGroupName: string;
    DBParameterGroupName: string;
    VpcSecurityGroupIds: string[];
    PubliclyAccessible: false;
    MultiAZ: false;
    AutoMinorVersionUpgrade: false;
    DeletionProtection: false;
    CopyTagsToSnapshot: true;
    StorageType: 'gp3';
    BackupRetentionPeriod: 0;
    Tags: Tag[];
  };
  adminPassword: string;
}

/**
 * Creates an instance by `make`, waits until it is available, completes it by `prepare`, and lends it to the caller
 * until `dispose`. If anything fails, the instance is deleted. If this process is killed, the sweep finds the instance
 * by its tags.
 */
export async function openScratch(
  setting: Setting,
  { kind, purpose, waits }: { kind: 'scratch' | 'restore'; purpose: string; waits: InstanceWaits },
  make: (instance: NewInstance) => Promise<void>,
  prepare: (access: DatabaseAccess, instance: DBInstance) => Promise<void>,
): Promise<ScratchDatabase> {
  const { clients, environment, foundation, settings } = setting;
  const { spec, scratch, securityGroups } = foundation;
  const caFile = await databaseAuthority(settings);
  const identifier = scratchIdentifier(spec.application, environment, kind);
  const doing = `creating a database for ${purpose}`;
  const marks = { environment, application: spec.application, owner: settings.owner };
  const common: NewInstance['common'] = {
    DBSubnetGroupName: scratch.subnetGroup,
    DBParameterGroupName: scratch.parameterGroup,
    VpcSecurityGroupIds: [securityGroups.databases],
    PubliclyAccessible: false,
    MultiAZ: false,
    AutoMinorVersionUpgrade: false,
    DeletionProtection: false,
    CopyTagsToSnapshot: true,
    StorageType: 'gp3',
    BackupRetentionPeriod: 0,
    Tags: asTagList(temporaryTags(marks, purpose, lifeMs)),
  };
  const logins = { admin: password(), owner: password(), app: password() };
  const dispose = () => deleteInstance(clients, identifier, waits);
  try {
    await make({ identifier, common, adminPassword: logins.admin }).catch((error: unknown) => {
      // Not an error: the name is random, so an earlier attempt created this instance and its answer was lost.
      if (!/AlreadyExists/.test(codeOf(error))) throw asOperationError(doing, error);
    });
    const instance = await untilAvailable(clients, identifier, doing, waits);
    const access: DatabaseAccess = {
      ...endpointOf(instance),
      database: applicationDatabase,
      caFile,
      peerCaFile: settings.authorities.databasePeers,
      admin: { user: administrator, password: logins.admin },
      owner: { user: 'owner', password: logins.owner },
      app: { user: 'app', password: logins.app },
    };
    await prepare(access, instance);
    return { access, dispose };
  } catch (error) {
    // The first error is the one to report. The sweep deletes later what cannot be deleted now.
    await dispose().catch(() => undefined);
    throw error;
  }
}

/** Deletes the scratch instances that ended runs left behind. Resolves to their names. */
export function sweepInstances(
  { clients, foundation }: Pick<Setting, 'clients' | 'foundation'>,
  waits: InstanceWaits,
): Promise<string[]> {
  return calling('deleting the databases of ended runs', async () => {
    const swept: string[] = [];
    for await (const { DBInstances } of paginateDescribeDBInstances({ client: clients.databases }, {}))
      for (const { DBInstanceIdentifier, DBInstanceStatus, TagList } of DBInstances ?? []) {
        if (DBInstanceIdentifier === undefined || DBInstanceStatus === 'deleting') continue;
        if (!isLeftOver(fromTagList(TagList), foundation.spec)) continue;
        await deleteInstance(clients, DBInstanceIdentifier, waits);
        swept.push(DBInstanceIdentifier);
      }
    return swept;
  });
}
