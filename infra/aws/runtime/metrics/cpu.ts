import { DescribeInstanceTypesCommand, type _InstanceType } from '@aws-sdk/client-ec2';
import { colours } from '../../../model.ts';
import type { FoundationOutputs } from '../../lib/foundation-reference.ts';
import { databaseIdentifier } from '../../lib/place.ts';
import type { Clients } from '../client/clients.ts';
import { describeInstance } from '../databases/instance.ts';
import { calling } from '../client/errors.ts';
import type { MetricQuestion, Series } from './data.ts';
import type { OwnedService } from '../instances/instances.ts';

/** CPU units that are one vCPU, for ECS. */
const unitsPerCpu = 1024;
/** Of the classes of instances that EC2 does not know. */
const defaultCpus = 2;

/** A part, what to ask about it, and the vCPUs that it used on average in a period. */
export interface CpuPart {
  part: string;
  questions: MetricQuestion[];
  cpus: (answers: Series[], period: number) => number | undefined;
}

/** Tasks by Container Insights: units per task, times the tasks. */
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

/** Databases by their load in percent, times the vCPUs of their class. */
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

/** A class of RDS is an instance type of EC2 with `db.` before it. */
async function cpusOf({ network }: Pick<Clients, 'network'>, instanceClass: string): Promise<number> {
  const type = instanceClass.replace(/^db\./, '') as _InstanceType;
  const { InstanceTypes = [] } = await network
    .send(new DescribeInstanceTypesCommand({ InstanceTypes: [type] }))
    .catch(() => ({ InstanceTypes: [] }));
  return InstanceTypes[0]?.VCpuInfo?.DefaultVCpus ?? defaultCpus;
}
