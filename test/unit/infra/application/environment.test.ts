import { expect } from 'chai';
import { serviceEnvironment } from '../../../../infra/application/environment.ts';
import { taskEnvironment } from '../../../../infra/aws/stacks/services/service-environment.ts';
import { Layout } from '../../../../infra/local/lib/layout.ts';
import { processEnvironment } from '../../../../infra/local/lib/process-environment.ts';
import type { EnvironmentSpec, ServiceSpec } from '../../../../infra/model.ts';

const service: ServiceSpec = {
  name: 'api',
  start: ['node', 'api.js'],
  health: '/healthz',
  routes: ['/'],
  instances: 1,
  database: true,
  env: { GREETING: 'hello' },
};

const spec: EnvironmentSpec = {
  application: 'shop',
  environment: 'staging',
  services: [service],
  integrations: [{ name: 'bank', env: 'BANK_URL', url: 'https://bank.example.org', health: '/' }],
  writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] },
  database: { maxConnections: 10 },
  slo: { errorRate: 0.01, p95Ms: 300 },
  alertReceivers: [],
};

const place = {
  host: '127.0.0.1',
  port: 1234,
  publicUrl: 'https://localhost:8443',
  databaseUrl: 'postgresql://app@here/shop',
  urlOf: () => 'https://bank.example.org',
};

describe('environment of a service', () => {
  const version = { version: '2.0.0', colour: 'blue' } as const;

  it('keeps what Greenlight says, whatever the definition says', () => {
    const own = {
      ...service,
      env: { PATH: '/mine', HOST: 'mine', PUBLIC_URL: 'mine', DATABASE_URL: 'mine', BANK_URL: 'mine', OTHER: 'mine' },
    };
    const { variables, secrets } = serviceEnvironment(spec, own, version, { ...place, searchPath: '/bin' });
    expect(variables).to.eql({
      PATH: '/bin',
      HOST: '127.0.0.1',
      PORT: '1234',
      PUBLIC_URL: 'https://localhost:8443',
      BANK_URL: 'https://bank.example.org',
      OTHER: 'mine',
      GREENLIGHT_VERSION: '2.0.0',
      GREENLIGHT_COLOUR: 'blue',
      GREENLIGHT_ENVIRONMENT: 'staging',
    });
    expect(secrets).to.eql({ DATABASE_URL: 'postgresql://app@here/shop' });
  });

  it('names no database to a service without one', () => {
    expect(serviceEnvironment(spec, { ...service, database: false }, version, place).secrets).to.eql({});
  });

  it('has the same names on every platform, beside the path and the authority that an image has in itself', () => {
    const layout = new Layout('staging', '/tmp/nowhere');
    for (const colour of ['blue', 'preview'] as const) {
      const of = { version: '2.0.0', colour };
      const task = taskEnvironment({ spec, baseUrl: 'https://app.example.org' }, service, of, 'arn:aws:secret');
      const local = processEnvironment(layout, { ...place, ...of, spec, service, ports: { integrations: {} } });
      const onAws = [...Object.keys(task.variables), ...Object.keys(task.secrets)];
      expect(Object.keys(local)).to.have.members([...onAws, 'PATH', 'NODE_EXTRA_CA_CERTS']);
    }
  });

  it('leads to stand-ins on this machine, and refuses them where tasks cannot reach them', () => {
    const standIn = { ...spec, integrations: [{ name: 'bank', env: 'BANK_URL', health: '/' }] };
    const layout = new Layout('staging', '/tmp/nowhere');
    const of = { ...place, ...version, spec: standIn, service, ports: { integrations: { bank: 4711 } } };
    expect(processEnvironment(layout, of)['BANK_URL']).to.equal('http://127.0.0.1:4711');
    const foundation = { spec: standIn, baseUrl: 'https://app.example.org' };
    expect(() => taskEnvironment(foundation, service, version, '')).to.throw('the integration bank has no url');
  });
});
