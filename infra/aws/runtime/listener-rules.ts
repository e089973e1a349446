import { paginateDescribeRules, type Rule } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { Clients } from './clients.ts';

/** All rules of a listener, its default one too. Rejects with AWS's own error: the caller knows what it was for. */
export async function listenerRules({ balancer }: Pick<Clients, 'balancer'>, ListenerArn: string): Promise<Rule[]> {
  const found: Rule[] = [];
  for await (const { Rules = [] } of paginateDescribeRules({ client: balancer }, { ListenerArn })) found.push(...Rules);
  return found;
}
