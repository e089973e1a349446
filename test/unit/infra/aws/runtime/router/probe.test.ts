import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  agrees,
  createProbe,
  observe,
  probePaths,
  sampleSize,
  summary,
  type Probe,
  type ProbeAnswer,
} from '../../../../../../infra/aws/runtime/router/probe.ts';
import { createCertificates } from '../../../../../../infra/local/lib/certificates.ts';
import { refusal } from '../../../../../contract/databases.ts';
import { spec } from '../../../../../lib/declared.ts';

const answers = (blue: number, green: number, before: ProbeAnswer[] = []): ProbeAnswer[] => [
  ...before,
  ...Array.from({ length: blue }, () => ({ status: 200, colour: 'blue' })),
  ...Array.from({ length: green }, () => ({ status: 200, colour: 'green' })),
];

describe('probes of the entry point', () => {
  it('agree with all reads at one colour after twenty in a row', () => {
    expect(agrees(answers(20, 0), { live: 'blue', percent: 0 })).to.equal(true);
    expect(agrees(answers(19, 0), { live: 'blue', percent: 0 })).to.equal(false);
    expect(agrees(answers(20, 0, answers(0, 50)), { live: 'blue', percent: 0 })).to.equal(true);
    expect(agrees(answers(19, 1), { live: 'blue', percent: 0 })).to.equal(false);
    expect(agrees(answers(0, 20), { live: 'blue', percent: 100 })).to.equal(true);
    expect(agrees(answers(20, 0), { live: 'blue', percent: 100 })).to.equal(false);
  });

  it('agree with a share in between within the bounds of chance, each colour seen', () => {
    const half = { live: 'blue', percent: 50 } as const;
    expect(sampleSize(50)).to.equal(60);
    expect(agrees(answers(30, 30), half)).to.equal(true);
    expect(agrees(answers(45, 15), half)).to.equal(true);
    expect(agrees(answers(47, 13), half)).to.equal(false);
    expect(agrees(answers(60, 0), half)).to.equal(false);
    const few = { live: 'blue', percent: 1 } as const;
    expect(sampleSize(1)).to.equal(300);
    expect(agrees(answers(300, 0), few)).to.equal(false);
    expect(agrees(answers(299, 1), few)).to.equal(true);
    expect(agrees(answers(285, 15), few)).to.equal(false);
    expect(agrees(answers(98, 2, answers(100, 0)), few)).to.equal(false);
  });

  it('do not agree while any answer says no colour', () => {
    for (const strange of [{ status: 0 }, { status: 503 }, { status: 200, colour: 'red' }])
      expect(agrees([...answers(30, 0), strange], { live: 'blue', percent: 0 })).to.equal(false);
  });

  it('read what each service itself answers, and nothing that writes', () => {
    const of = spec('staging');
    expect(probePaths(of)).to.deep.equal(['/healthz', '/api/health']);
    const [web, api] = of.services;
    expect(probePaths({ ...of, services: [web!, { ...api!, health: '/elsewhere' }] })).to.deep.equal([
      '/healthz',
      '/api',
    ]);
    expect(probePaths({ ...of, writes: { reads: ['GET'], paths: ['/api'] } })).to.deep.equal(['/healthz']);
  });

  it('ask each node, and are done when each of them follows', async () => {
    const asked: Record<string, number> = {};
    const nodes = ['10.0.0.1', '10.0.0.2'].map((address) => ({ address, family: 4 }));
    const probe: Probe = Object.assign(
      (_request: object, { address }: { address: string } = nodes[0]!) => {
        asked[address] = (asked[address] ?? 0) + 1;
        const late = address === '10.0.0.2' && asked[address] <= 100;
        return Promise.resolve({ status: 200, colour: late ? 'blue' : 'green' });
      },
      { nodes: () => Promise.resolve(nodes) },
    );
    const request = { method: 'GET', path: '/' };
    const followed = (deadline: number) =>
      observe({ probe, request, parallel: 5, deadline, doing: 'setting' }, (seen) =>
        agrees(seen, { live: 'green', percent: 0 }),
      );
    await followed(Date.now() + 10_000);
    expect(asked).to.deep.equal({ '10.0.0.1': 120, '10.0.0.2': 120 });
    nodes.push({ address: '10.0.0.3', family: 4 });
    asked['10.0.0.2'] = 0;
    expect(await refusal(followed(0)))
      .to.contain('5 x blue')
      .and.contain('10 x green');
  });

  it('reach the node that they are for, by the name of the entry point', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'greenlight-probe-'));
    const servers: Server[] = [];
    try {
      await createCertificates(folder);
      const [key, cert] = await Promise.all(['server.key', 'server.crt'].map((name) => readFile(join(folder, name))));
      const listen = async (address: string, port: number, colour: string): Promise<number> => {
        const server = createServer({ key, cert }, ({ headers }, response) =>
          response
            .writeHead(headers.host === `localhost:${(server.address() as AddressInfo).port}` ? 200 : 400, {
              'x-greenlight-colour': colour,
            })
            .end(),
        );
        servers.push(server);
        await once(server.listen(port, address), 'listening');
        return (server.address() as AddressInfo).port;
      };
      const port = await listen('127.0.0.1', 0, 'blue');
      await listen('127.0.0.2', port, 'green');
      const probe = createProbe({ baseUrl: `https://localhost:${port}`, caFile: join(folder, 'ca.pem') });
      expect(await probe.nodes?.()).to.deep.equal([{ address: '127.0.0.1', family: 4 }]);
      for (const [address, colour] of [
        ['127.0.0.1', 'blue'],
        ['127.0.0.2', 'green'],
      ] as const)
        expect(await probe({ method: 'GET', path: '/' }, { address, family: 4 })).to.deep.equal({
          status: 200,
          colour,
          fence: undefined,
        });
    } finally {
      for (const server of servers) server.close();
      await rm(folder, { recursive: true, force: true });
    }
  });

  it('are told in few words', () => {
    const seen = [...answers(2, 1), { status: 0 }, { status: 502 }, { status: 503, fence: 'up' }];
    expect(summary(seen)).to.equal(
      '2 x blue, 1 x green, 1 x no answer, 1 x 502 without x-greenlight-colour, 1 x the write hold (up)',
    );
  });
});
