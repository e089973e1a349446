import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { ECSClient } from '@aws-sdk/client-ecs';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

/** Clients for the calls that ECS itself makes for its tasks. */
export interface AccountClients {
  containers: ECSClient;
  balancer: ElasticLoadBalancingV2Client;
  logs: CloudWatchLogsClient;
  secrets: SecretsManagerClient;
}

export interface ClientsByRegion {
  of(region: string): AccountClients;
  close(): void;
}

/** Clients for each region, created on first use. */
export function clientsByRegion(endpoint: string): ClientsByRegion {
  const made = new Map<string, AccountClients>();
  const make = (region: string): AccountClients => {
    const common = { region, endpoint, credentials: { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' } };
    return {
      containers: new ECSClient(common),
      balancer: new ElasticLoadBalancingV2Client(common),
      logs: new CloudWatchLogsClient(common),
      secrets: new SecretsManagerClient(common),
    };
  };
  return {
    of: (region) => {
      const clients = made.get(region) ?? make(region);
      made.set(region, clients);
      return clients;
    },
    close: () => {
      for (const clients of made.values())
        for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    },
  };
}

export const regionOf = (arn: string): string => arn.split(':')[3] ?? '';
