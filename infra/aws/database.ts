import * as pulumi from '@pulumi/pulumi';
import type { LogGroup } from '@pulumi/aws/cloudwatch/logGroup.js';
import { Instance } from '@pulumi/aws/rds/instance.js';
import { ParameterGroup } from '@pulumi/aws/rds/parameterGroup.js';
import { SubnetGroup } from '@pulumi/aws/rds/subnetGroup.js';
import { RandomId } from '@pulumi/random/randomId.js';
import type { Colour } from '../model.ts';
import { applicationDatabase } from '../roles.ts';
import { databasePort } from './access.ts';
import { logGroup } from './log-group.ts';
import { backupTag, databaseIdentifier } from './names.ts';
import { Component, type Place } from './place.ts';

/** Login of the administrator. RDS refuses `admin` on PostgreSQL: it is reserved. */
export const administrator = 'greenlight_admin';

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
    this.instance = this.#instance(this.#parameters(), this.#subnets(), logs);
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

  #subnets() {
    return new SubnetGroup(this.#name, { subnetIds: this.#args.subnetIds, tags: this.place.tags }, this.child);
  }

  #parameters() {
    const [major] = this.place.settings.database.version.split('.');
    const atStart = (name: string, value: string) => ({ name, value, applyMethod: 'pending-reboot' });
    const atOnce = (name: string, value: string) => ({ name, value, applyMethod: 'immediate' });
    return new ParameterGroup(
      this.#name,
      {
        family: `postgres${major}`,
        parameters: [
          // Sets wal_level to logical, which replication between the colours needs. Off by default.
          atStart('rds.logical_replication', '1'),
          // Refuses connections without TLS.
          atOnce('rds.force_ssl', '1'),
          atOnce('ssl_min_protocol_version', 'TLSv1.2'),
          atOnce('password_encryption', 'scram-sha-256'),
          atStart('max_connections', String(this.#args.maxConnections)),
          // The same as locally: two directions with their initial copies, with much to spare.
          atStart('max_replication_slots', '20'),
          atStart('max_wal_senders', '20'),
          // MB. A subscriber that is gone must not fill the disk: its slot is lost instead, and a gate sees that.
          atOnce('max_slot_wal_keep_size', '4096'),
          // Statements may hold personal data: none is logged.
          atOnce('log_statement', 'none'),
          atOnce('log_min_error_statement', 'panic'),
        ],
        tags: this.place.tags,
      },
      this.child,
    );
  }

  #instance(parameters: ParameterGroup, subnets: SubnetGroup, logs: LogGroup[]) {
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
