import { balancer } from './balancer.ts';
import { certificates } from './certificates.ts';
import { cluster } from './cluster.ts';
import type { Handler } from './handler.ts';
import { monitoring } from './monitoring.ts';
import { ports } from './ports.ts';
import { process } from './process.ts';
import { routing } from './routing.ts';
import { secret } from './secret.ts';
import { supervisor } from './supervisor.ts';

/** The provider's resource types, by token. */
export const handlers: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ['greenlight:local:Balancer', balancer],
  ['greenlight:local:Certificates', certificates],
  ['greenlight:local:Monitoring', monitoring],
  ['greenlight:local:PostgresCluster', cluster],
  ['greenlight:local:Ports', ports],
  ['greenlight:local:Process', process],
  ['greenlight:local:Routing', routing],
  ['greenlight:local:Secret', secret],
  ['greenlight:local:Supervisor', supervisor],
]);
