import { DescribeInstanceTypesCommand, type _InstanceType } from '@aws-sdk/client-ec2';
import { colours } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { databaseIdentifier } from '../../lib/place.ts';
import type { Clients } from '../client/clients.ts';
import { describeInstance } from '../databases/instance.ts';
import { calling } from '../client/errors.ts';
import type { MetricQuestion, Series } from './data.ts';
import type { OwnedService } from '../instances/instances.ts';

/** ECS's CPU units per vCPU. */
const unitsPerCpu = 1024;
/** vCPUs assumed for an instance class that EC2 does not know. */
const defaultCpus = 2;

/**
 * A part of the environment, the metrics that it needs, and a function for the average of vCPUs that it used in a
 * period.
 */
export interface CpuPart {
  part: string;
  questions: MetricQuestion[];
  cpus: (answers: Series[], period: number) => number | undefined;
}

/** A service's tasks, from Container Insights: units per task, times the number of tasks. */
export function servicePart({ colour, service, name }: OwnedService, cluster: string): CpuPart {
  const dimensions = { ClusterName: cluster, ServiceName: name };
  const ask = (metric: string) => ({ namespace: 'ECS/ContainerInsights', metric, dimensions, stat: 'Average' });
  return {
    part: `${service}.${colour}`,
    questions: [ask('CpuUtilized'), ask('RunningTaskCount')],
    cpus: ([units, tasks], period) => {
      const [perTask, count] = [units?.get(period), tasks?.get(period)];
      return perTask === undefined || count === undefined ? undefined : (perTask * count) / unitsPerCpu;
    },
  };
}

/** The databases: CPU use in percent, times the vCPUs of their instance class. */
export async function databaseParts(
  clients: Pick<Clients, 'databases' | 'network'>,
  { spec }: Pick<FoundationOutputs, 'spec'>,
): Promise<CpuPart[]> {
  const parts = colours.map(async (colour): Promise<CpuPart[]> => {
    const place = { tags: { application: spec.application }, environment: spec.environment };
    const DBInstanceIdentifier = databaseIdentifier(place, colour);
    const found = await calling('looking for the databases', () => describeInstance(clients, DBInstanceIdentifier));
    const instanceClass = found?.DBInstanceClass;
    if (instanceClass === undefined) return [];
    const cpus = await cpusOf(clients, instanceClass);
    return [
      {
        part: `database.${colour}`,
        questions: [
          { namespace: 'AWS/RDS', metric: 'CPUUtilization', dimensions: { DBInstanceIdentifier }, stat: 'Average' },
        ],
        cpus: ([percent], period) => {
          const used = percent?.get(period);
          return used === undefined ? undefined : (used / 100) * cpus;
        },
      },
    ];
  });
  return (await Promise.all(parts)).flat();
}

/** An RDS instance class is an EC2 instance type with the prefix `db.`. */
async function cpusOf({ network }: Pick<Clients, 'network'>, instanceClass: string): Promise<number> {
  const type = instanceClass.replace(/^db\./, '') as _InstanceType;
  const { InstanceTypes = [] } = await network
    .send(new DescribeInstanceTypesCommand({ InstanceTypes: [type] }))
    .catch(() => ({ InstanceTypes: [] }));
  return InstanceTypes[0]?.VCpuInfo?.DefaultVCpus ?? defaultCpus;
}
