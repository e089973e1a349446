import { join } from 'node:path';
import type { EnvironmentSpec, ServiceSpec } from '../../../../../infra/model.ts';
import { startTestbed, testSpec, type Testbed } from './testbed.ts';

type Settings = Pick<ServiceSpec, 'timeouts' | 'sticky'> & {
  http?: Partial<EnvironmentSpec['http']>;
  writes?: EnvironmentSpec['writes'];
  /** Names of services that speak HTTP/2 (`grpc-backend.ts`). */
  h2c?: string[];
};

/** A testbed whose services have these settings, with instances that can be slow, quiet and long (`long-backend.ts`). */
export function longTestbed({ http, writes = testSpec.writes, h2c = [], ...settings }: Settings): Promise<Testbed> {
  const spec: EnvironmentSpec = {
    ...testSpec,
    services: testSpec.services.map((service) => ({
      ...service,
      ...settings,
      protocol: h2c.includes(service.name) ? 'h2c' : 'http1',
    })),
    writes,
    http: { headerKilobytes: 16, streams: [], ...http },
  };
  return startTestbed(spec, ({ service, colour, port }, instance) => {
    const program = join(import.meta.dirname, service.protocol === 'h2c' ? 'grpc-backend.ts' : 'long-backend.ts');
    const name = `${service.name}.${colour}.${instance}`;
    return { argv: [process.execPath, program, String(port), name], env: process.env };
  });
}
