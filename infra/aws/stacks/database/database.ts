import * as pulumi from '@pulumi/pulumi';
import type { LogGroup } from '@pulumi/aws/cloudwatch/logGroup.js';
import { Instance } from '@pulumi/aws/rds/instance.js';
import { RandomId } from '@pulumi/random/randomId.js';
import type { Colour } from '../../../model.ts';
import { applicationDatabase } from '../../../application/roles.ts';
import { DatabaseGroups } from './database-groups.ts';
import { logGroup } from '../storage/log-group.ts';
import { administrator, databasePort } from '../../lib/names.ts';
import { backupTag, databaseIdentifier, Component, type Place } from '../../lib/place.ts';

const exportedLogs = ['postgresql', 'upgrade'];

export interface DatabaseArgs {
  colour: Colour;
  maxConnections: number;
  subnetIds: pulumi.Input<string>[];
  securityGroupId: pulumi.Input<string>;
  keyArn: pulumi.Input<string>;
}

/** A colour's own PostgreSQL. It outlives releases: they fill it anew, and never replace the instance. */
export class Database extends Component {
  readonly instance: Instance;
  readonly #args: DatabaseArgs;
  readonly #identifier: string;

  constructor(args: DatabaseArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('Database', `${place.environment}-${args.colour}-database`, place, options);
    this.#args = args;
    this.#identifier = databaseIdentifier(place, args.colour);
    const logs = this.#logs();
    this.instance = this.#instance(new DatabaseGroups(`${args.colour}-database`, args, place, this.child), logs);
    this.registerOutputs({});
  }

  get #name() {
    return this.named(`${this.#args.colour}-database`);
  }

  /** Made before RDS makes them itself, without retention. */
  #logs(): LogGroup[] {
    const { place } = this;
    return exportedLogs.map((log) => {
      const name = `/aws/rds/instance/${this.#identifier}/${log}`;
      return logGroup(`${this.#name}-${log}`, { name, place, keyArn: this.#args.keyArn }, this);
    });
  }

  #instance({ parameters, subnets }: DatabaseGroups, logs: LogGroup[]) {
    const { place } = this;
    const { database, backupDays } = place.settings;
    const { keyArn, securityGroupId } = this.#args;
    return new Instance(
      this.#name,
      {
        identifier: this.#identifier,
        engine: 'postgres',
        engineVersion: database.version,
        instanceClass: database.instanceClass,
        dbName: applicationDatabase,
        port: databasePort,
        parameterGroupName: parameters.name,
        dbSubnetGroupName: subnets.name,
        vpcSecurityGroupIds: [securityGroupId],
        publiclyAccessible: false,
        multiAz: place.production,

        username: administrator,
        // RDS makes the password, keeps it in Secrets Manager and rotates it every seven days: it is in no state and no log.
        manageMasterUserPassword: true,
        masterUserSecretKmsKeyId: keyArn,

        storageType: 'gp3',
        allocatedStorage: database.storage,
        maxAllocatedStorage: database.maxStorage,
        storageEncrypted: true,
        kmsKeyId: keyArn,

        // With point-in-time restore within these days. Default by this way: 0, none at all.
        backupRetentionPeriod: backupDays,
        deleteAutomatedBackups: !place.production,
        copyTagsToSnapshot: true,
        deletionProtection: place.production,
        skipFinalSnapshot: !place.production,
        finalSnapshotIdentifier: this.#finalSnapshot(),

        // A minor version would otherwise come to one colour at one time and to the other at another, with a restart.
        autoMinorVersionUpgrade: false,
        // Default: in the weekly maintenance window, with a restart of whichever colour is live then. A release changes the other one.
        applyImmediately: true,
        performanceInsightsEnabled: true,
        performanceInsightsKmsKeyId: keyArn,
        // Days; the longest that costs nothing.
        performanceInsightsRetentionPeriod: 7,
        enabledCloudwatchLogsExports: exportedLogs,
        tags: { ...place.tags, ...backupTag(place) },
      },
      // Made anew it would be empty. Storage that has grown by itself is no drift.
      { parent: this, protect: place.production, dependsOn: logs, ignoreChanges: ['allocatedStorage'] },
    );
  }

  /** Must not be a name that an earlier instance has used, so it ends in what is random once per stack. */
  #finalSnapshot() {
    const { hex } = new RandomId(`${this.#name}-final`, { byteLength: 4 }, this.child);
    return pulumi.interpolate`${this.#identifier}-final-${hex}`;
  }
}
