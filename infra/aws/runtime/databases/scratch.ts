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
/** How long a scratch instance may be needed: longer than a release works on it. */
const lifeMs = 12 * 3_600_000;

const password = (): string => randomBytes(24).toString('hex');

/** Name of an instance for one purpose and one run. At most 63 letters, digits and single hyphens, says RDS. */
export const scratchIdentifier = (application: string, environment: string, kind: string, id = shortId()): string =>
  `${`${application}-${environment}`.slice(0, 40).replace(/-+$/, '')}-${kind}-${id}`;

export interface NewInstance {
  identifier: string;
  /** What is the same for every scratch instance: network, settings, tags. */
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
 * Makes an instance by `make`, waits until it is there, lets `prepare` finish it, and gives it to the caller until `dispose`.
 * Whatever goes wrong meanwhile, it is deleted; if this program is killed, the sweep finds it by its tags.
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
  const doing = `making a database for ${purpose}`;
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
      // The answer to an earlier attempt was lost: the name is random, so the instance is this one.
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
    // What went wrong first is what matters; the sweep deletes what could not be deleted now.
    await dispose().catch(() => undefined);
    throw error;
  }
}

/** Deletes the scratch instances that runs left which are over. Resolves to their names. */
export function sweepInstances(
  { clients, foundation }: Pick<Setting, 'clients' | 'foundation'>,
  waits: InstanceWaits,
): Promise<string[]> {
  return calling('looking for databases that a run left', async () => {
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
