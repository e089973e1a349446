import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fenceVariables } from '../../../../infra/aws/lib/routing-plan.ts';
import { createClients, type Clients } from '../../../../infra/aws/runtime/client/clients.ts';
import { createCertificates } from '../../../../infra/local/lib/certificates.ts';
import { colours, type Colour, type EnvironmentSpec, type Split } from '../../../../infra/model.ts';
import { startAccount, type Account, type AccountOptions } from '../../../emulated-account/account.ts';
import { freePort } from '../../../emulated-account/moto.ts';
import { rawCalls, type Raw } from '../../../emulated-account/raw-calls.ts';
import { spec as specOf } from '../../../lib/declared.ts';
import { makeListener, type TestListener } from './listener.ts';

export interface Heard {
  colour: Colour;
  method: string;
  path: string;
}

/** An entry point in an account whose balancers run, with a service of each colour behind it that says how it is asked. */
export interface Entry {
  account: Account;
  clients: Clients;
  spec: EnvironmentSpec;
  listener: TestListener;
  baseUrl: string;
  caFile: string;
  /** What reached the services, but for health checks. */
  heard: Heard[];
  /** Status and delay (ms) of what a colour answers to `/api/...`. */
  behaviour: Record<Colour, { status: number; ms: number }>;
  close(): Promise<void>;
}

export async function openEntry(split: Split, options: Omit<AccountOptions, 'certificate'> = {}): Promise<Entry> {
  const folder = await mkdtemp(join(tmpdir(), 'greenlight-entry-'));
  await createCertificates(join(folder, 'tls'));
  const read = (name: string) => readFile(join(folder, 'tls', name), 'utf8');
  const certificate = { cert: await read('server.crt'), key: await read('server.key') };
  const account = await startAccount({
    certificate,
    ...options,
    balancer: { healthIntervalMs: 50, firewall: true, ...options.balancer },
  });
  const credentials = { accessKeyId: 'a', secretAccessKey: 'a' };
  const clients = createClients({ region: account.region, endpoint: account.endpoint, credentials });
  const raw = rawCalls(account);
  const spec = specOf('staging');
  const heard: Heard[] = [];
  const behaviour: Entry['behaviour'] = { blue: { status: 200, ms: 0 }, green: { status: 200, ms: 0 } };
  const servers = new Map<string, Server>();
  for (const colour of colours)
    for (const { name, health } of spec.services) {
      const server = createServer((request, response) => {
        const { method = '', url: path = '' } = request;
        if (path !== health) heard.push({ colour, method, path });
        const { status, ms } = path.startsWith('/api/') && path !== health ? behaviour[colour] : { status: 200, ms: 0 };
        response.writeHead(status, { 'x-greenlight-colour': colour });
        void sleep(ms).then(() => response.end());
      });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      servers.set(`${colour} ${name}`, server);
    }
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const imported = { Certificate: base64(certificate.cert), PrivateKey: base64(certificate.key) };
  const { CertificateArn } = await raw('acm', { 'x-amz-target': 'CertificateManager.ImportCertificate' }, imported);
  const port = await freePort();
  const listener = await makeListener(clients, spec, split, {
    port,
    certificateArn: CertificateArn as string,
    target: (colour, service) => {
      const { port: Port } = servers.get(`${colour} ${service}`)?.address() as AddressInfo;
      return { Id: '127.0.0.1', Port };
    },
    fenceArn: (listenerArn) => fenceFunction(raw, listenerArn),
  });
  return {
    account,
    clients,
    spec,
    listener,
    baseUrl: `https://127.0.0.1:${port}`,
    caFile: join(folder, 'tls', 'ca.pem'),
    heard,
    behaviour,
    async close() {
      for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
      await account.close();
      for (const server of servers.values()) {
        server.close();
        server.closeAllConnections();
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function fenceFunction(raw: Raw, listenerArn: string): Promise<string> {
  const name = `fence-${Math.random().toString(36).slice(2)}`;
  const role = new URLSearchParams({
    Action: 'CreateRole',
    Version: '2010-05-08',
    RoleName: name,
    AssumeRolePolicyDocument: '{"Version":"2012-10-17","Statement":[]}',
  });
  const { text } = await raw('iam', {}, role);
  const made = await raw(
    'lambda',
    { 'content-type': 'application/json' },
    {
      FunctionName: name,
      Runtime: 'nodejs22.x',
      Role: /<Arn>(.*)<\/Arn>/.exec(text as string)?.[1],
      Handler: 'index.handler',
      Code: { ZipFile: Buffer.from('none').toString('base64') },
      Environment: { Variables: fenceVariables(listenerArn) },
    },
    '/2015-03-31/functions',
  );
  return made['FunctionArn'] as string;
}
