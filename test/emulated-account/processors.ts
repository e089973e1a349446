import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { CloudWatchClient, PutMetricDataCommand, type MetricDatum } from '@aws-sdk/client-cloudwatch';
import { ECSClient, ListClustersCommand } from '@aws-sdk/client-ecs';
import type { DatabasesPart } from './databases.ts';
import type { Part } from './hooks.ts';
import type { TasksPart } from './tasks.ts';

export interface ProcessorsOptions {
  moto: string;
  region: string;
  /** Publishing interval, ms. AWS: 60,000. */
  periodMs: number;
  tasks: TasksPart;
  databases: DatabasesPart;
}

/** Clock ticks of /proc per second: USER_HZ, 100 on every Linux that Node supports. */
const ticksPerSecond = 100;
/** ECS's CPU units per vCPU. */
const unitsPerCpu = 1024;
/** vCPUs of the emulated instances' class. */
const databaseCpus = 2;

/**
 * Publishes the CPU use of the real processes of tasks and database servers, in the form of Container Insights and RDS.
 * As there, a data point covers its whole period.
 */
export function processorsPart({ moto, region, periodMs, tasks, databases }: ProcessorsOptions): Part {
  const setting = { endpoint: moto, region, credentials: { accessKeyId: 'a', secretAccessKey: 'a' } };
  const [metrics, containers] = [new CloudWatchClient(setting), new ECSClient(setting)];
  const end = new AbortController();
  const before = new Map<number, number>();

  const publish = async (): Promise<void> => {
    for (;;) {
      const next = Math.floor(Date.now() / periodMs) * periodMs + periodMs;
      await delay(next - Date.now(), undefined, { signal: end.signal }).catch(() => undefined);
      if (end.signal.aborted) return;
      const at = new Date(next - periodMs);
      const used = usedSince(before);
      const ofDatabases = databases.servers().map(({ id, pid }): MetricDatum => ({
        MetricName: 'CPUUtilization',
        Timestamp: at,
        Dimensions: [{ Name: 'DBInstanceIdentifier', Value: id }],
        Value: (100 * used(pid)) / (periodMs / 1000) / databaseCpus,
      }));
      await send('AWS/RDS', ofDatabases);
      await send('ECS/ContainerInsights', await ofServices(at, used));
    }
  };

  async function ofServices(at: Date, used: (pid: number) => number): Promise<MetricDatum[]> {
    const clusters = (await containers.send(new ListClustersCommand({}))).clusterArns ?? [];
    const running = tasks.tasks().filter(({ pid, status }) => pid !== undefined && status === 'RUNNING');
    const services = Map.groupBy(running, ({ cluster, group }) => `${cluster} ${group}`);
    return [...services].flatMap(([key, mine]) => {
      const [cluster = '', group = ''] = key.split(' ');
      if (!group.startsWith('service:') || !clusters.some((arn) => arn === cluster)) return [];
      const seconds = mine.reduce((sum, { pid }) => sum + used(pid as number), 0);
      const Dimensions = [
        { Name: 'ClusterName', Value: cluster.split('/').at(-1) },
        { Name: 'ServiceName', Value: group.slice('service:'.length) },
      ];
      const perTask = (seconds * unitsPerCpu) / (periodMs / 1000) / mine.length;
      return [
        { MetricName: 'CpuUtilized', Timestamp: at, Dimensions, Value: perTask },
        { MetricName: 'RunningTaskCount', Timestamp: at, Dimensions, Value: mine.length },
      ];
    });
  }

  async function send(Namespace: string, MetricData: MetricDatum[]): Promise<void> {
    if (MetricData.length > 0) await metrics.send(new PutMetricDataCommand({ Namespace, MetricData }));
  }

  const publishing = publish();
  return {
    hooks: [],
    async close() {
      end.abort();
      await publishing.catch(() => undefined);
      metrics.destroy();
      containers.destroy();
    },
  };
}

/**
 * CPU seconds that a process and its descendants have used since the last call, or at the first call since their start.
 */
function usedSince(before: Map<number, number>): (root: number) => number {
  const processes = allProcesses();
  return (root) => {
    const family = [root];
    for (const pid of family) for (const [child, { parent }] of processes) if (parent === pid) family.push(child);
    const now = family.reduce((sum, pid) => sum + (processes.get(pid)?.ticks ?? 0), 0);
    const used = Math.max(0, now - (before.get(root) ?? 0));
    before.set(root, now);
    return used / ticksPerSecond;
  };
}

function allProcesses(): Map<number, { parent: number; ticks: number }> {
  const found = new Map<number, { parent: number; ticks: number }>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      // After the name in parentheses, field 3 and on: parent is 4, user and system ticks are 14 and 15 (proc(5)).
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      found.set(Number(name), { parent: Number(fields[1]), ticks: Number(fields[11]) + Number(fields[12]) });
    } catch {
      // The process has ended meanwhile.
    }
  }
  return found;
}
