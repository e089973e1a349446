import type { ServerControl } from '../../infra/local/postgres/clone.ts';
import { serverPid, startCluster, stopCluster, type ClusterSpec } from '../../infra/local/postgres/cluster.ts';

/** Starts and stops a cluster's server as one of this program, where no supervisor has it. */
export const controlOf = (cluster: ClusterSpec): ServerControl => ({
  start: async () => {
    if ((await serverPid(cluster)) === undefined) await startCluster(cluster);
  },
  stop: () => stopCluster(cluster),
});
