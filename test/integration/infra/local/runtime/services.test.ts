import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { Agent, get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { processEnvironment } from '../../../../../infra/local/lib/process-environment.ts';
import { createLocalPreviews } from '../../../../../infra/local/runtime/preview.ts';
import { Layout } from '../../../../../infra/local/lib/layout.ts';
import { createCertificates } from '../../../../../infra/local/lib/certificates.ts';
import { callingProgram, callingServices, servicesContract } from '../../../../contract/services.ts';
import { startTestbed, testSpec } from '../haproxy/testbed.ts';

const spec = { ...testSpec, services: callingServices };
const version = '2.0.0';
const unused = 'unused';
const database = { url: unused, host: unused, port: '1', name: unused, user: unused, password: unused, caFile: unused };

/** A directory with the build of the two services. */
async function build() {
  const location = await mkdtemp(join(tmpdir(), 'greenlight-services-'));
  await writeFile(join(location, 'server.mjs'), callingProgram);
  return { location, remove: () => rm(location, { recursive: true, force: true }) };
}

async function asking(baseUrl: string, caFile: string) {
  const agent = new Agent({ ca: await readFile(caFile) });
  return (path: string) =>
    new Promise<unknown>((resolve, reject) => {
      get(`${baseUrl}${path}`, { agent }, (response) => resolve(json(response))).on('error', reject);
    });
}

describe('processes of this machine', () => {
  servicesContract('as instances behind the balancer', async () => {
    const { location, remove } = await build();
    const bed = await startTestbed(spec, ({ layout, ports, service, colour, port }) => {
      const publicUrl = `https://localhost:${ports.https}`;
      const of = { spec, ports, service, port, publicUrl, version, colour, database, secretOf: () => undefined };
      const [, file = '', ...args] = service.start;
      return { argv: [process.execPath, join(location, file), ...args], env: processEnvironment(layout, of) };
    });
    await bed.router.apply({ live: 'blue', percent: 0 });
    const { baseUrl } = bed.router.entry;
    const close = async () => {
      await bed.dispose();
      await remove();
    };
    return { ask: await asking(baseUrl, bed.layout.caFile()), close };
  });

  servicesContract('as a preview behind its own front', async () => {
    const { location, remove } = await build();
    const directory = await mkdtemp(join(tmpdir(), 'greenlight-preview-'));
    const layout = new Layout('staging', directory);
    await createCertificates(layout.certificates());
    await writeFile(layout.portsFile(), JSON.stringify({ integrations: {} }));
    const login = { user: 'unused', password: 'unused' };
    const access = { host: 'unused', port: 1, database: 'unused', caFile: 'unused', admin: login, owner: login };
    const previews = createLocalPreviews(layout, spec);
    const preview = await previews.serve({ version, digest: 'sha256:0', location }, { ...access, app: login });
    const close = async () => {
      await preview.dispose();
      await rm(directory, { recursive: true, force: true });
      await remove();
    };
    return { ask: await asking(preview.baseUrl, layout.caFile()), close };
  });
});
