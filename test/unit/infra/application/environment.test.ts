import { expect } from 'chai';
import { jobEnvironment, serviceEnvironment } from '../../../../infra/application/environment.ts';
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
  writes: { methods: ['POST'], paths: [] },
  database: { maxConnections: 10 },
  slo: { errorRate: 0.01, p95Ms: 300 },
  alertReceivers: [],
};

const database = {
  url: 'postgresql://app:pw@here:5432/shop',
  host: 'here',
  port: '5432',
  name: 'shop',
  user: 'app',
  password: 'pw',
  caFile: '/ca.pem',
};

const place = {
  host: '127.0.0.1',
  port: 1234,
  publicUrl: 'https://localhost:8443',
  database,
  secretOf: (name: string) => (name === 'token' ? 'TOKEN' : undefined),
  urlOf: () => 'https://bank.example.org',
};

describe('environment of a service', () => {
  const version = { version: '2.0.0', colour: 'blue' } as const;

  it('keeps what Greenlight says, whatever the definition says', () => {
    const own = {
      ...service,
      env: { PATH: '/mine', GREENLIGHT_COLOUR: 'mine', BANK_URL: 'mine', OTHER: 'mine' },
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
    expect(secrets).to.eql({ DATABASE_URL: database.url });
  });

  it('has what the definition says of its own address and its database', () => {
    const env = {
      HOST: '0.0.0.0',
      PORT: '${port}',
      DATABASE_URL: 'postgresql+psycopg://${database.user}:${database.password}@${database.host}/${database.name}',
      pghost: '${database.host}:${database.port}',
      KEY: 'key of ${secret.token}',
      PLAIN: '$${HOME} $HOME ${version} ${colour} ${environment}',
    };
    const { variables, secrets } = serviceEnvironment(spec, { ...service, env }, version, place);
    expect(variables).to.include({ HOST: '0.0.0.0', PORT: '1234', pghost: 'here:5432' });
    expect(variables['PLAIN']).to.equal('${HOME} $HOME 2.0.0 blue staging');
    expect(secrets).to.eql({ DATABASE_URL: 'postgresql+psycopg://app:pw@here/shop', KEY: 'key of TOKEN' });
    expect(Object.keys(variables)).not.to.include.members(['DATABASE_URL', 'KEY']);
  });

  it('takes a value as it stands, also with what templates and replacements are made of', () => {
    const secretOf = () => "$& $1 $$ ${host} it's";
    const { secrets } = serviceEnvironment(spec, { ...service, env: { X: '${secret.a}' } }, version, {
      ...place,
      secretOf,
    });
    expect(secrets['X']).to.equal("$& $1 $$ ${host} it's");
  });

  it('tells a job of the database that it has, and nothing of one that it has not', () => {
    const own = { PGHOST: '${database.host}', KEY: '${secret.token}', V: '${version}' };
    const of = { version: '2.0.0', environment: 'staging', secretOf: place.secretOf };
    const with_ = { PGHOST: 'here', KEY: 'TOKEN', V: '2.0.0' };
    expect(jobEnvironment(own, { ...of, database })).to.eql(with_);
    expect(jobEnvironment(own, of)).to.eql({ KEY: 'TOKEN', V: '2.0.0' });
    expect(jobEnvironment({ DATABASE_URL: '${database.user}' }, { ...of, database })).to.eql({ DATABASE_URL: 'app' });
  });

  it('names no database to a service without one', () => {
    expect(serviceEnvironment(spec, { ...service, database: false }, version, place).secrets).to.eql({});
  });

  it('has the same names on every platform, beside the path and the authority that an image has in itself', () => {
    const layout = new Layout('staging', '/tmp/nowhere');
    for (const colour of ['blue', 'preview'] as const) {
      const of = { version: '2.0.0', colour };
      const task = taskEnvironment({ spec, baseUrl: 'https://app.example.org' }, service, of, database);
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
    expect(() => taskEnvironment(foundation, service, version, database)).to.throw('the integration bank has no url');
  });
});
