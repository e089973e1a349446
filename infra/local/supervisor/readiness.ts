import { healthHeaders, healthOf } from '../../application/health.ts';
import type { ServiceSpec } from '../../model.ts';
import type { Probe } from './config.ts';

/** How it is seen that an instance of the service is ready, on its port of this machine. `within`: it runs in a container. */
export function readinessOf(
  { health }: Pick<ServiceSpec, 'health'>,
  port: number,
  publicUrl: string,
  within?: string[],
): Probe {
  const wanted = healthOf(health);
  if (wanted.kind === 'tcp') return { kind: 'tcp', port };
  if (wanted.kind === 'command') return { kind: 'command', argv: wanted.command, within, port };
  const { path, statuses, headers } = wanted;
  return { kind: 'http', url: `http://127.0.0.1:${port}${path}`, statuses, headers: healthHeaders(publicUrl, headers) };
}
