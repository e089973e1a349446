import { join } from 'node:path';
import type { EnvironmentSpec, ServiceSpec } from '../../../../../infra/model.ts';
import { startTestbed, testSpec, type Testbed } from './testbed.ts';

type Settings = Pick<ServiceSpec, 'timeouts' | 'sticky' | 'protocol'> & {
  http?: Partial<EnvironmentSpec['http']>;
  writes?: EnvironmentSpec['writes'];
};

/** A testbed whose services have these settings, with instances that can be slow, quiet and long (`long-backend.ts`). */
export function longTestbed(
  { http, writes = testSpec.writes, ...settings }: Settings,
  program = 'long-backend.ts',
): Promise<Testbed> {
  const spec: EnvironmentSpec = {
    ...testSpec,
    services: testSpec.services.map((service) => ({ ...service, ...settings })),
    writes,
    http: { headerKilobytes: 16, streams: [], ...http },
  };
  return startTestbed(spec, ({ service, colour, port }, instance) => ({
    argv: [process.execPath, join(import.meta.dirname, program), String(port), `${service.name}.${colour}.${instance}`],
    env: process.env,
  }));
}
