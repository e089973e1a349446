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

/** The PostgreSQL instance of one colour. It outlives releases: they refill it and never replace it. */
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

  /** Created before RDS creates them, which it would do without retention. */
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
        // RDS generates the password, keeps it in Secrets Manager and rotates it every seven days. It is in no state
        // and no log.
        manageMasterUserPassword: true,
        masterUserSecretKmsKeyId: keyArn,

        storageType: 'gp3',
        allocatedStorage: database.storage,
        maxAllocatedStorage: database.maxStorage,
        storageEncrypted: true,
        kmsKeyId: keyArn,

        // Days, also for point-in-time restore. The provider's default is 0: no backups.
        backupRetentionPeriod: backupDays,
        deleteAutomatedBackups: !place.production,
        copyTagsToSnapshot: true,
        deletionProtection: place.production,
        skipFinalSnapshot: !place.production,
        finalSnapshotIdentifier: this.#finalSnapshot(),

        // A minor upgrade restarts the instance, and would reach the two colours at different times.
        autoMinorVersionUpgrade: false,
        // By default a change waits for the weekly maintenance window, and may then restart the live colour. A release
        // changes the inactive one.
        applyImmediately: true,
        performanceInsightsEnabled: true,
        performanceInsightsKmsKeyId: keyArn,
        // Days; the longest period that is free.
        performanceInsightsRetentionPeriod: 7,
        enabledCloudwatchLogsExports: exportedLogs,
        tags: { ...place.tags, ...backupTag(place) },
      },
      // Protected, because a replacement would be empty. RDS grows `allocatedStorage` by itself, which is no drift.
      { parent: this, protect: place.production, dependsOn: logs, ignoreChanges: ['allocatedStorage'] },
    );
  }

  /** Ends in a suffix that is random per stack: the name must differ from the final snapshots of earlier instances. */
  #finalSnapshot() {
    const { hex } = new RandomId(`${this.#name}-final`, { byteLength: 4 }, this.child);
    return pulumi.interpolate`${this.#identifier}-final-${hex}`;
  }
}
