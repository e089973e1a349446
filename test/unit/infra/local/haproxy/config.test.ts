import { expect } from 'chai';
import { tmpdir } from 'node:os';
import { balancerSocket, renderBalancer } from '../../../../../infra/local/haproxy/config.ts';
import {
  countOldWorkers,
  parseSessions,
  parseShowMap,
  parseShowStat,
} from '../../../../../infra/local/haproxy/runtime.ts';
import { parseTrafficMap, renderTrafficMap } from '../../../../../infra/local/haproxy/traffic-map.ts';
import { Layout, type Ports } from '../../../../../infra/local/lib/layout.ts';
import { socketPath } from '../../../../../infra/local/lib/socket-path.ts';
import type { EnvironmentSpec, ServiceSpec } from '../../../../../infra/model.ts';

const service = (name: string, ...routes: string[]): ServiceSpec => ({
  name,
  start: ['run'],
  health: '/health',
  routes,
  instances: 2,
  database: false,
  env: {},
});
const spec: EnvironmentSpec = {
  application: 'shop',
  environment: 'production',
  services: [service('web', '/'), service('api', '/api', '/api/v2/admin'), service('admin', '/api/v2')],
  integrations: [],
  writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: ["/it's", '/live'] },
  database: { maxConnections: 20 },
  slo: { errorRate: 0.01, p95Ms: 300 },
  alertReceivers: [],
};
const instances = (base: number) => ({ web: [base], api: [base + 1, base + 2], admin: [base + 3] });
const ports: Ports = {
  https: 8443,
  http: 8080,
  balancerMetrics: 8404,
  prometheus: 9090,
  alertmanager: 9093,
  alertReceiver: 9094,
  database: { blue: 5501, green: 5502 },
  instances: { blue: instances(3000), green: instances(4000) },
  integrations: {},
};
const layout = new Layout('production', '/srv/with space/production');
const files = renderBalancer({ spec, layout, ports });
const configuration = files['haproxy.cfg'] ?? '';
const linesWith = (...words: string[]) =>
  configuration.split('\n').filter((line) => words.every((word) => line.includes(word)));

describe('the rendered balancer', () => {
  it('asks for the service of the longest prefix first', () => {
    const prefixes = linesWith('set-var(txn.service)').map((line) => /beg -- '([^']+)'/.exec(line)?.[1]);
    expect(prefixes).to.deep.equal(['/api/v2/admin', '/api/v2', '/api', '/']);
  });

  it('quotes what the release definition may hold', () => {
    expect(linesWith('set-var(txn.kind) str(write)', 'path')[0]).to.contain(String.raw`'/it'\''s' '/live'`);
  });

  it('listens on loopback and unix sockets alone', () => {
    const binds = linesWith('  bind ').map((line) => line.trim().split(' ')[1]);
    expect(binds).to.have.length(4);
    for (const bind of binds) expect(bind).to.match(/^(127\.0\.0\.1:|"unix@)/);
  });

  it('checks a server in one backend and follows it in the others', () => {
    expect(linesWith('server api.blue.2 ')).to.deep.equal([
      '  server api.blue.2 127.0.0.1:3002 check',
      ...['write', 'tunnel', 'stream'].map(() => '  server api.blue.2 127.0.0.1:3002 track api.blue.read/api.blue.2'),
    ]);
    expect(linesWith('backend ').length).to.be.at.least(12);
  });

  it('[J1] gives a service up after the time that it says, and a stream of it after another', () => {
    const [web, api, admin] = spec.services;
    const timed = { ...api!, timeouts: { answerSeconds: 70, quietSeconds: 900 } };
    const text =
      renderBalancer({ spec: { ...spec, services: [web!, timed, admin!] }, layout, ports })['haproxy.cfg'] ?? '';
    const of = (backend: string) =>
      /^ {2}timeout server (\d+)s/m.exec(text.split(`backend ${backend}\n`)[1] ?? '')?.[1];
    expect(['read', 'write', 'tunnel', 'stream'].map((kind) => of(`api.blue.${kind}`))).to.deep.equal([
      '70',
      '70',
      '70',
      '900',
    ]);
    expect(['read', 'stream'].map((kind) => of(`web.green.${kind}`))).to.deep.equal(['30', '300']);
    expect(text).to.match(/timeout tunnel 900s/);
    // The hop inside the balancer is not cut before.
    expect(/^defaults[^]*?timeout server (\d+)s/m.exec(text)?.[1]).to.equal('930');
  });

  it('names the file with the secret and never holds it', () => {
    expect(linesWith('-f "../secrets/route"')).to.have.length(1);
  });

  it('begins with what is live, or with nothing', () => {
    expect(files['traffic.map']).to.equal('split none\nhold 0\nrefuse 0\n');
    const live = renderBalancer({ spec, layout, ports, split: { live: 'green', percent: 5 } });
    expect(live['traffic.map']).to.equal('split green:5\nhold 0\nrefuse 0\n');
    expect(live['haproxy.cfg']).to.equal(configuration);
  });

  it('is the same text for the same input', () => {
    expect(renderBalancer({ spec: structuredClone(spec), layout, ports })).to.deep.equal(files);
  });
});

describe('the traffic map', () => {
  const parse = (split: string, hold = '0', refuse = '0') =>
    parseTrafficMap(new Map(Object.entries({ split, hold, refuse })));

  it('says what was rendered', () => {
    const split = { live: 'blue' as const, percent: 100 };
    const state = { split, holdUntil: 1_700_000_000_000, refuseUntil: 1_800_000_000_000 };
    expect(renderTrafficMap(state)).to.equal('split blue:100\nhold 1700000000000\nrefuse 1800000000000\n');
    expect(parse('blue:100', '1700000000000', '1800000000000')).to.deep.equal(state);
    expect(parse('none').split).to.equal(undefined);
  });

  it('of a version that refused no writes is one without a refusal', () => {
    const entries = new Map(Object.entries({ split: 'blue:0', hold: '5' }));
    expect(parseTrafficMap(entries)).to.deep.include({ holdUntil: 5, refuseUntil: 0 });
  });

  it('is refused when it says something else', () => {
    for (const split of ['', 'blue', 'blue:', 'blue:101', 'blue:-1', 'blue:1.5', 'red:0', 'blue:1:2', 'blue:x']) {
      expect(() => parse(split), split).to.throw(/split/);
    }
    expect(() => parse('none', 'soon')).to.throw(/hold "soon"/);
    expect(() => parse('none', '0', 'soon')).to.throw(/refuse "soon"/);
    expect(() => parseTrafficMap(new Map())).to.throw(/lacks/);
  });
});

describe('answers of the runtime API', () => {
  it('show map', () => {
    const answer = '0x5581c0 split blue:10\n0x5581d0 hold 0\n\n';
    expect([...parseShowMap(answer)]).to.deep.equal([
      ['split', 'blue:10'],
      ['hold', '0'],
    ]);
    expect(parseShowMap('Unknown map identifier.\n').size).to.equal(0);
  });

  it('show proc', () => {
    const workers =
      '#<PID> <type> <reloads> <uptime> <version>\n10 master 1 0d00h00m01s 2.6\n# workers\n12 worker 0 0d00h00m00s 2.6\n';
    expect(countOldWorkers(`${workers}# programs\n\n`)).to.equal(0);
    expect(
      countOldWorkers(
        `${workers}# old workers\n11 worker 1 0d00h00m01s 2.6\n9 worker 2 0d00h00m09s 2.6\n# programs\n\n`,
      ),
    ).to.equal(2);
  });

  it('show sess', () => {
    const answer = `0x55a1: proto=unix_stream src=unix:1 fe=entry be=web.blue.tunnel srv=web.blue.1 ts=00 epoch=0 age=1h2m3s calls=3 rate=0
0x55a2: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 epoch=0 age=0s calls=1 rate=1
`;
    expect(parseSessions(answer)).to.deep.equal([
      { id: '0x55a1', backend: 'web.blue.tunnel', seconds: 3723 },
      { id: '0x55a2', backend: '<NONE>', seconds: 0 },
    ]);
    expect(parseSessions('')).to.deep.equal([]);
  });

  it('show stat of several', () => {
    const answer = '# pxname,scur\na.blue.write,3\n\n# pxname,scur\nb.blue.write,4\n\n';
    expect(parseShowStat(answer).map(({ scur }) => scur)).to.deep.equal(['3', '4']);
  });

  it('show stat', () => {
    expect(parseShowStat('# pxname,svname,scur,\na.blue.write,BACKEND,3,\n\n')).to.deep.equal([
      { pxname: 'a.blue.write', svname: 'BACKEND', scur: '3', '': '' },
    ]);
    expect(parseShowStat('Permission denied\n')).to.deep.equal([]);
  });
});

describe("a socket's path", () => {
  it('is in its directory where that is short enough, else in the temporary directory, told apart by the directory', () => {
    expect(socketPath('/srv/env', 'a.sock')).to.equal('/srv/env/a.sock');
    const deep = (name: string) => socketPath(`/srv/${'x'.repeat(100)}/${name}`, 'a.sock');
    expect(deep('one')).to.match(new RegExp(`^${tmpdir()}/greenlight-[0-9a-f]{16}/a\\.sock$`));
    expect(deep('one')).to.equal(deep('one'));
    expect(deep('one')).to.not.equal(deep('two'));
    expect(balancerSocket(new Layout('staging', `/${'y'.repeat(90)}`)).length).to.be.below(90);
  });
});
