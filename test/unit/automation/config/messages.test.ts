import { expect } from 'chai';
import { checkRelease, ConfigError } from '../../../../automation/config/load.ts';
import { gatesOf } from '../../../../automation/release/plan.ts';
import { serviceEnvironment } from '../../../../infra/application/environment.ts';
import { nearest } from '../../../../infra/lib/nearest.ts';
import sample from '../../../../greenlight.config.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';
import { problemsOf, saysWhere, validWaiver, type Case } from './problems-of.ts';

/* eslint-disable @typescript-eslint/no-unsafe-member-access -- see Draft */

/** About keys, types, and the application without its migrations. */
const cases: Case[] = [
  ['a misspelt key', (d) => (d.platfrom = 'local'), 'platfrom: unknown key; did you mean "platform"?'],
  [
    'a misspelt key deep inside',
    (d) => (d.application.services[1].helath = '/up'),
    'application.services[1].helath: unknown key; did you mean "health"?',
  ],
  [
    'a key that resembles nothing',
    (d) => (d.cutover = { zzzzzz: 1 }),
    'cutover.zzzzzz: unknown key; known here: holdMs, drainMs, longConnectionsSeconds',
  ],
  [
    'a missing key',
    (d) => delete d.application.version,
    'application.version: is missing; give a text in quotes: the version to release',
  ],
  ['a missing section', (d) => delete d.application, 'application: is missing; give a group of settings, in { }'],
  [
    'a route without its slash',
    (d) => (d.application.services[1].routes = ['api']),
    'application.services[1].routes[0]: found "api"; give an absolute URL path such as /api',
  ],
  [
    'methods that write, which an earlier version had',
    (d) => (d.application.writes = { methods: ['POST'] }),
    'application.writes.methods: is replaced by application.writes.reads, the methods that only read: every other method writes',
  ],
  [
    'a method that is no token',
    (d) => (d.application.writes = { reads: ['GET', 'PROP FIND'] }),
    'application.writes.reads[1]: found "PROP FIND"; give an HTTP method, such as PROPFIND',
  ],
  [
    'a method in small letters',
    (d) => (d.application.writes = { reads: ['get'] }),
    'application.writes.reads[0]: found "get"; methods are written in capital letters',
  ],
  [
    'no method that reads',
    (d) => (d.application.writes = { reads: [] }),
    'application.writes.reads: found []; give at least 1 entry',
  ],
  [
    'a head that no balancer takes',
    (d) => (d.application.http = { headerKilobytes: 65 }),
    'application.http.headerKilobytes: found 65; give at most 64',
  ],
  [
    'a session cookie with a sign that no balancer takes',
    (d) => (d.application.writes = { withoutCookie: ['session id'] }),
    'application.writes.withoutCookie[0]: found "session id"; write the name of a cookie',
  ],
  [
    'a body of nothing',
    (d) => (d.application.http = { bodyMegabytes: 0 }),
    'application.http.bodyMegabytes: found 0; give at least 1',
  ],
  [
    'a time-out of more than an hour',
    (d) => (d.application.services[0].timeouts = { answerSeconds: 3601 }),
    'application.services[0].timeouts.answerSeconds: found 3601; give at most 3600',
  ],
  [
    'a protocol that nobody speaks',
    (d) => (d.application.services[0].protocol = 'h2'),
    'application.services[0].protocol: found "h2"; choose one of "http1", "h2c"',
  ],
  [
    'long connections without an end',
    (d) => (d.cutover = { longConnectionsSeconds: 3601 }),
    'cutover.longConnectionsSeconds: found 3601; give at most 3600',
  ],
  ['a number for a text', (d) => (d.application.name = 7), 'application.name: found 7; give a text in quotes'],
  ['a text for a number', (d) => (d.load.growth = '2'), 'load.growth: found "2"; give a number'],
  ['NaN', (d) => (d.load.requestsPerSecond = NaN), 'load.requestsPerSecond: found NaN; give a number'],
  ['infinity', (d) => (d.slo = { p95Ms: Infinity }), 'slo.p95Ms: found Infinity; give a number'],
  [
    'half an instance',
    (d) => (d.application.services[0].instances = 1.5),
    'application.services[0].instances: found 1.5; give a whole number',
  ],
  [
    'a text for a list',
    (d) => (d.application.build.command = 'make all'),
    'application.build.command: found "make all"; give a list, in [ ]',
  ],
  [
    'a name with a semicolon',
    (d) => (d.application.name = 'shop;drop'),
    'application.name: found "shop;drop"; use 1 to 31 lower-case letters',
  ],
  [
    'a name with ../',
    (d) => (d.application.services[0].name = '../web'),
    'application.services[0].name: found "../web"; use 1 to 31',
  ],
  [
    'a route with a rule of the balancer in it',
    (d) => (d.application.services[0].routes = ['/', '/a;b']),
    'application.services[0].routes[1]: found "/a;b"; give an absolute URL path',
  ],
  [
    'a route claimed twice',
    (d) => (d.application.services[1].routes = ['/api', '/']),
    'application.services[1].routes[1]: "/" is already a route of services[0]',
  ],
  [
    'no service for /',
    (d) => (d.application.services[0].routes = ['/web']),
    'application.services: no service has the route "/"',
  ],
  [
    'two services of one name',
    (d) => (d.application.services[1].name = 'web'),
    'application.services[1].name: the name "web" is already at [0]',
  ],
  [
    'a variable that Greenlight sets',
    (d) => (d.application.services[0].env = { GREENLIGHT_VERSION: 'x' }),
    'application.services[0].env.GREENLIGHT_VERSION: Greenlight sets this variable itself',
  ],
  [
    'a variable that Greenlight sets on this machine',
    (d) => (d.application.services[1].env = { NODE_EXTRA_CA_CERTS: '/etc/ca.pem' }),
    'application.services[1].env.NODE_EXTRA_CA_CERTS: Greenlight sets this variable itself on the platform "local"; leave it out',
  ],
  [
    'a variable that an integration sets',
    (d) => (d.application.services[1].env = { PAYMENTS_URL: 'https://other.example.com' }),
    'application.services[1].env.PAYMENTS_URL: integrations[0] sets this variable to its URL; remove one or rename it',
  ],
  [
    'an integration in a variable that Greenlight sets on this machine',
    (d) => (d.application.integrations[0].env = 'PATH'),
    'application.integrations[0].env: Greenlight sets this variable itself',
  ],
  [
    'a variable with a hyphen',
    (d) => (d.application.services[0].env = { 'a-b': 'x' }),
    'application.services[0].env["a-b"]: found the name "a-b"; use letters, digits and underscores',
  ],
  [
    'an integration without url and stand-in',
    (d) => delete d.application.integrations[0].standIn,
    'application.integrations[0]: it has neither url nor standIn',
  ],
  [
    'an integration with another scheme',
    (d) => (d.application.integrations[0].url = 'file:///etc/passwd'),
    'application.integrations[0].url: found "file:///etc/passwd"; give a URL that starts with http',
  ],
  [
    'a baseline that is newer',
    (d) => (d.application.baseline = '2.1.0'),
    'application.baseline: 2.1.0 is newer than the version to release (2.0.0)',
  ],
  [
    'a baseline that is the version',
    (d) => (d.application.baseline = '2.0.0'),
    'application.baseline: is the version to release (2.0.0)',
  ],
  [
    'a version that is none',
    (d) => (d.application.version = 'latest'),
    'application.version: found "latest"; write a semantic version',
  ],
  [
    'a misspelt key in one of two forms',
    (d) => (d.application.migrations = { directory: 'migrations', contrakt: [] }),
    'application.migrations.contrakt: unknown key; did you mean "contract"?',
  ],
  [
    'an unknown choice',
    (d) => (d.security = { failOn: 'hihg' }),
    'security.failOn: found "hihg"; choose one of "low", "medium", "high" (did you mean "high"?)',
  ],
];

describe('messages about a wrong release definition', () => {
  it('has nothing to say about one that is right', () => {
    expect(problemsOf(() => undefined)).to.deep.equal([]);
  });

  saysWhere(cases);

  it('lists everything at once, of all layers: keys, types, values, and rules between sections', () => {
    const problems = problemsOf((d) => {
      d.platfrom = 'aws';
      d.application.name = 'a;b';
      d.application.services[0].env = { GREENLIGHT_X: 'x' };
      d.application.services[1].routes = ['/'];
      d.application.services[1].instances = 'two';
      d.environments = { staging: { instances: { ghost: 1 }, port: 80 } };
      d.canary = { steps: [50, 10], minRequests: NaN };
      d.waivers = [{ ...validWaiver, expires: '2020-01-01' }];
    });
    expect(problems.map((problem) => problem.split(':')[0])).to.have.members([
      'platfrom',
      'application.name',
      'application.services[0].env.GREENLIGHT_X',
      'application.services[1].routes[0]',
      'application.services[1].instances',
      'environments.staging.instances.ghost',
      'environments.staging.port',
      'canary.steps[1]',
      'canary.minRequests',
      'waivers[0].expires',
    ]);
  });

  it('survives what is no definition at all', () => {
    for (const input of [
      null,
      'text',
      7,
      [],
      () => 1,
      { application: null },
      { application: { services: [null, 5] } },
    ]) {
      expect(() => checkRelease('/x/greenlight.config.ts', input, gatesOf)).to.throw(ConfigError, /problem/);
    }
  });

  it('prints one message with all paths, and what was changed: nothing', () => {
    const broken = { ...validDefinition(), approval: 'maybe', platform: 'gcp' };
    expect(() => checkRelease('/x/greenlight.config.ts', broken, gatesOf)).to.throw(
      ConfigError,
      /^reading \/x\/greenlight\.config\.ts: 2 problems\n {2}platform: .*\n {2}approval: .*\n {2}Nothing was changed\./,
    );
  });
});

const database = { url: 'u', host: 'h', port: '1', name: 'n', user: 'u', password: 'p', caFile: 'f' };

describe('the variables of a service', () => {
  const problems = (platform: string, env: Record<string, string>) =>
    problemsOf((d) => {
      d.platform = platform;
      d.aws = { ...sample.aws, integrations: { payments: 'https://payments.example.org' } };
      d.application.services[1].env = env;
    });
  /** Every variable that a platform sets itself, by the function that sets them. */
  const setBy = (place: { caFile?: string; searchPath?: string }) => {
    const { variables, secrets } = serviceEnvironment(
      { environment: 'staging', integrations: [{ name: 'payments', env: 'PAYMENTS_URL', health: '/' }] },
      { env: {}, database: true },
      { version: '1.0.0', colour: 'blue' },
      { host: 'h', port: 1, publicUrl: 'u', urlOf: () => 'u', database, secretOf: () => undefined, ...place },
    );
    const mayBeSet = ['HOST', 'PORT', 'PUBLIC_URL', 'DATABASE_URL'];
    return Object.keys({ ...variables, ...secrets }).filter((name) => !mayBeSet.includes(name));
  };
  const refused = (platform: string, name: string) =>
    problems(platform, { [name]: 'x' }).some((problem) => problem.startsWith(`application.services[1].env.${name}: `));

  it('are never those that would be replaced: all that Greenlight sets are refused, but those that it may set itself', () => {
    expect(setBy({ caFile: 'f', searchPath: 'p' }).filter((name) => !refused('local', name))).to.deep.equal([]);
    expect(setBy({}).filter((name) => !refused('aws', name))).to.deep.equal([]);
  });

  it('may be those that only this machine sets, where the platform is another', () => {
    const env = { PATH: '/opt/bin:/usr/bin:/bin', NODE_EXTRA_CA_CERTS: '/etc/ssl/company.pem', LEVEL: 'debug' };
    expect(problems('aws', env)).to.deep.equal([]);
    expect(problems('local', { LEVEL: 'debug' })).to.deep.equal([]);
  });
});

describe('the nearest known word', () => {
  it('forgives typing errors and case, and does not guess', () => {
    expect(nearest('platfrom', ['platform', 'approval'])).to.equal('platform');
    expect(nearest('Routes', ['routes'])).to.equal('routes');
    expect(nearest('lcoal', ['local', 'aws'])).to.equal('local');
    expect(nearest('xyz', ['routes', 'name'])).to.equal(undefined);
  });
});
