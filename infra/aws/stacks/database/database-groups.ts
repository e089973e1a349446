import type * as pulumi from '@pulumi/pulumi';
import { ParameterGroup } from '@pulumi/aws/rds/parameterGroup.js';
import { SubnetGroup } from '@pulumi/aws/rds/subnetGroup.js';
import { Component, type Place } from '../../lib/place.ts';

export interface DatabaseGroupsArgs {
  maxConnections: number;
  /**
   * False: no logical replication workers, so that the subscriptions in a restored copy stay inactive. Otherwise they
   * would connect to the publisher, which is live.
   */
  subscribes?: boolean;
  subnetIds: pulumi.Input<pulumi.Input<string>[]>;
}

/**
 * Subnet group and parameter group of an RDS database. Each colour has its own, so that a change reaches one colour at
 * a time.
 */
export class DatabaseGroups extends Component {
  readonly parameters: ParameterGroup;
  readonly subnets: SubnetGroup;

  constructor(name: string, args: DatabaseGroupsArgs, place: Place, options: pulumi.ComponentResourceOptions) {
    super('DatabaseGroups', `${place.environment}-${name}-groups`, place, options);
    this.subnets = new SubnetGroup(this.named(name), { subnetIds: args.subnetIds, tags: place.tags }, this.child);
    this.parameters = this.#parameters(this.named(name), args);
    this.registerOutputs({});
  }

  #parameters(name: string, { maxConnections, subscribes = true }: DatabaseGroupsArgs) {
    const [major] = this.place.settings.database.version.split('.');
    const atStart = (name: string, value: string) => ({ name, value, applyMethod: 'pending-reboot' });
    // Not for values that equal RDS's default: RDS keeps reporting `pending-reboot` for those, a permanent diff
    // (provider #39252).
    const atOnce = (name: string, value: string) => ({ name, value, applyMethod: 'immediate' });
    return new ParameterGroup(
      name,
      {
        family: `postgres${major}`,
        parameters: [
          // Sets wal_level to logical, which replication between the colours needs. Off by default.
          atStart('rds.logical_replication', '1'),
          // Refuses connections without TLS.
          atStart('rds.force_ssl', '1'),
          atStart('ssl_min_protocol_version', 'TLSv1.2'),
          atStart('password_encryption', 'scram-sha-256'),
          atStart('max_connections', String(maxConnections)),
          // As locally: enough for replication in both directions with its initial copies, and a reserve.
          atStart('max_replication_slots', '20'),
          atStart('max_wal_senders', '20'),
          ...(subscribes ? [] : [atStart('max_logical_replication_workers', '0')]),
          // MB. Bounds the WAL that is kept for a lost subscriber: its slot is lost before the disk is full, and a gate
          // reports that.
          atOnce('max_slot_wal_keep_size', '4096'),
          // Statements may contain personal data, so none is logged.
          atStart('log_statement', 'none'),
          atOnce('log_min_error_statement', 'panic'),
        ],
        tags: this.place.tags,
      },
      this.child,
    );
  }
}
