import { expect } from 'chai';
import sample from '../../../../greenlight.config.ts';
import { problemsOf, saysWhere, validWaiver, type Case, type Draft } from './problems-of.ts';

/* eslint-disable @typescript-eslint/no-unsafe-member-access -- see Draft */

/** On AWS, with a change of the acceptance tests. */
function onAws(d: Draft, tests: object): void {
  d.platform = 'aws';
  d.aws = { ...sample.aws, integrations: { payments: 'https://payments.example.org' } };
  d.tests.acceptance = { command: ['t'], ...tests };
}

const cases: Case[] = [
  [
    'a path that leaves the project',
    (d) => (d.load.script = '../../etc/x.js'),
    'load.script: found "../../etc/x.js"; give a path inside the project',
  ],
  [
    'a script that is not there',
    (d) => (d.load.script = 'loadtests/nowhere.ts'),
    'load.script: found "loadtests/nowhere.ts", but the project has no such file',
  ],
  [
    'instances of a service that is not there',
    (d) => (d.environments = { staging: { instances: { wbe: 1 } } }),
    'environments.staging.instances.wbe: there is no service of this name; the services are web, api',
  ],
  [
    'an environment that is not there',
    (d) => (d.environments = { prodution: {} }),
    'environments.prodution: unknown key; did you mean "production"?',
  ],
  [
    'a privileged port',
    (d) => (d.environments = { production: { port: 443 } }),
    'environments.production.port: found 443; give at least 1024',
  ],
  [
    'a port that does not exist',
    (d) => (d.environments = { production: { port: 70_000 } }),
    'environments.production.port: found 70000; give at most 65535',
  ],
  [
    'one port for both environments',
    (d) => (d.environments = { staging: { port: 8443 }, production: { port: 8443 } }),
    "environments.production.port: 8443 is staging's port too",
  ],
  [
    'another version of PostgreSQL on staging',
    (d) => (d.environments = { production: { database: { version: 17 } } }),
    "environments.staging.database.version: is missing, and production's is 17",
  ],
  [
    'a version of PostgreSQL that is not supported',
    (d) => (d.environments = { staging: { database: { version: 14 } } }),
    'environments.staging.database.version: found 14; give at least 15',
  ],
  ['steps that do not ascend', (d) => (d.canary = { steps: [50, 10] }), 'canary.steps[1]: 10 does not come after 50'],
  ['a step twice', (d) => (d.canary = { steps: [10, 10] }), 'canary.steps[1]: 10 does not come after 10'],
  ['a weight over 100', (d) => (d.canary = { steps: [10, 150] }), 'canary.steps[1]: found 150; give at most 99'],
  [
    'a drain longer than the hold',
    (d) => (d.cutover = { holdMs: 500 }),
    'cutover.drainMs: 1000 is longer than holdMs (500)',
  ],
  [
    'a p99 below the p95',
    (d) => (d.load.thresholds.p99Ms = 100),
    'load.thresholds.p99Ms: 100 is lower than p95Ms (300)',
  ],
  [
    'a window that never opens',
    (d) => (d.window = { days: ['mon'], from: '22:00', to: '22:00', timeZone: 'UTC' }),
    'window.to: is the same as from (22:00)',
  ],
  [
    'a time that does not exist',
    (d) => (d.window = { days: ['mon'], from: '25:00', to: '22:00', timeZone: 'UTC' }),
    'window.from: found "25:00"; write a time such as 22:00',
  ],
  [
    'a time zone that does not exist',
    (d) => (d.window = { days: ['mon'], from: '22:00', to: '05:00', timeZone: 'Mars/Olympus' }),
    'window.timeZone: found "Mars/Olympus"; give an IANA time zone',
  ],
  [
    'an expired waiver',
    (d) => (d.waivers = [{ ...validWaiver, expires: '2020-01-31' }]),
    'waivers[0].expires: expired on 2020-01-31: decide on a new date, or remove it',
  ],
  [
    'an accepted risk that has expired',
    (d) =>
      (d.security = {
        acceptedRisks: [
          { rule: 'x', reason: 'decided in the review', acceptedBy: 'product owner', expires: '2021-06-30' },
        ],
      }),
    'security.acceptedRisks[0].expires: expired on 2021-06-30',
  ],
  [
    'a day that does not exist',
    (d) => (d.waivers = [{ ...validWaiver, expires: '2099-02-30' }]),
    'waivers[0].expires: found "2099-02-30"; write a date such as',
  ],
  [
    'two waivers of one gate',
    (d) => (d.waivers = [validWaiver, validWaiver]),
    'waivers[1].gate: a waiver of the gate "capacity" is already at [0]',
  ],
  [
    'a waiver without a reason',
    (d) => (d.waivers = [{ ...validWaiver, reason: 'because' }]),
    'waivers[0].reason: found "because"; give at least 10 characters',
  ],
  [
    'a column masked twice',
    (d) => {
      d.data.personal = [
        { table: 'users', column: 'email', with: 'email' },
        { table: 'users', column: 'email', with: 'null' },
      ];
    },
    'data.personal[1].column: the column "users.email" is already at [0]',
  ],
  [
    'SQL in the name of a column',
    (d) => (d.data.personal = [{ table: 'users; DROP TABLE users', column: 'email', with: 'email' }]),
    'data.personal[0].table: found "users; DROP TABLE users"; give the name of a table, such as users or crm.users',
  ],
  [
    'a path of a document that is masked twice',
    (d) => {
      const at = { table: 'crm.users', column: 'profile', path: 'contact.email', with: 'email' } as const;
      d.data.personal = [at, { ...at, path: 'contact.phone', with: 'digits' }, { ...at, with: 'hash' }];
    },
    'data.personal[2].column: the column "crm.users.profile at contact.email" is already at [0]',
  ],
  [
    'a harmless column without a reason',
    (d) => (d.data.harmless = [{ table: 'Products', column: 'display name', reason: 'no' }]),
    'data.harmless[0].reason: found "no"; give at least 10 characters',
  ],
  ['a ledger without $1', (d) => (d.data.ledger = { sql: 'SELECT 1' }), 'data.ledger.sql: found "SELECT 1"; use $1'],
  [
    'counters of the ledger without $1',
    (d) => (d.data.ledger = { sql: 'SELECT $1', counters: 'SELECT 2' }),
    'data.ledger.counters: found "SELECT 2"; use $1, the names of the counters',
  ],
  [
    'synthetic traffic without a ledger',
    (d) => delete d.data.ledger,
    'data.ledger: is missing: without it the writes of synthetic.script',
  ],
  [
    'TAP of a command that writes JUnit XML',
    (d) => (d.tests.unit = { command: ['t', '{results}'], format: 'tap' }),
    'tests.unit.format: is "tap", and the command writes JUnit XML',
  ],
  [
    'JUnit XML that nothing writes',
    (d) => (d.tests.unit = { command: ['t'], format: 'junit' }),
    'tests.unit.format: is "junit", and nothing says where the JUnit XML is; put {results} into the command, or give results',
  ],
  [
    'results in two places',
    (d) => (d.tests.smoke = { command: ['t', '{results}'], results: 'out' }),
    'tests.smoke.results: is one of two places of the results',
  ],
  [
    'a forwarder of tests that ask nothing',
    (d) => (d.tests.unit = { command: ['t'], forwarder: true }),
    'tests.unit.forwarder: ',
  ],
  [
    'a path to load that is there twice',
    (d) => (d.load = { paths: ['/', '/'] }),
    'load.paths[1]: the entry "/" is already at [0]',
  ],
  [
    'a baseline of a folder',
    (d) => void (d.application.build = { directory: '.' }),
    'application.build.ref: has to name each version: without it the files of . would be called 1.0.0 and released twice; write a ref with ${version} in it',
  ],
  [
    'what git ignores of a ref',
    (d) => (d.application.build = { directory: '.', ref: 'v${version}', include: ['node_modules'] }),
    'application.build.include: is of the working tree, which a ref is not',
  ],
  [
    'results in the directory on AWS',
    (d) => onAws(d, { results: 'target' }),
    'tests.acceptance.results: is for platform "local"; on AWS put {results} into the command',
  ],
  [
    'a forwarder on AWS',
    (d) => onAws(d, { forwarder: true }),
    'tests.acceptance.forwarder: is for platform "local": on AWS tests run as tasks',
  ],
  [
    'two receivers of one name',
    (d) => (d.alerts = { receivers: [1, 2].map(() => ({ name: 'ops', webhook: 'http://localhost/x' })) }),
    'alerts.receivers[1].name: the name "ops" is already at [0]',
  ],
];

describe('messages about what surrounds the application', () => {
  saysWhere(cases);

  it('accepts an application without tests, without a script, without a log-in, without migrations', () => {
    const least = (d: Draft) => {
      for (const section of ['tests', 'load', 'synthetic', 'data']) delete d[section];
      delete d.application.migrations;
      delete d.application.baseline;
      d.application.build = { directory: '.', include: ['node_modules'] };
    };
    expect(problemsOf(least)).to.deep.equal([]);
  });

  it('accepts a folder with a ref for each version, and tests of every format', () => {
    const formats = (d: Draft) => {
      d.application.build = { directory: '.', ref: 'v${version}', prepare: ['npm', 'ci'] };
      d.tests.unit = { command: ['t'], results: 'target/reports' };
      d.tests.integration = { command: ['t'], format: 'tap' };
      d.tests.acceptance = { command: ['t'], forwarder: true, writable: true };
    };
    expect(problemsOf(formats)).to.deep.equal([]);
  });

  it('accepts a version, a number or a release that is at the edge of what is allowed', () => {
    const edge = (d: Draft) => {
      d.application.version = '2.0.0-rc.1';
      d.application.baseline = '2.0.0';
      d.canary = { steps: [1, 99] };
      d.cutover = { holdMs: 1000, drainMs: 1000 };
      d.waivers = [{ ...validWaiver, expires: new Date().toISOString().slice(0, 10) }];
      d.synthetic.requestsPerSecond = 0;
      delete d.data.ledger;
    };
    expect(problemsOf(edge)).to.deep.equal([]);
  });
});

describe('what a release takes from outside of its definition', () => {
  it('is looked for at once: files that only AWS needs, where it is the platform', () => {
    const onAws = (platform: string) => (d: Draft) => {
      d.platform = platform;
      d.aws = {
        ...sample.aws,
        integrations: { payments: 'https://payments.example.org' },
        authorities: { entry: 'nowhere.pem' },
      };
      d.aws.image = { dockerfile: 'nowhere/Dockerfile' };
    };
    expect(problemsOf(onAws('aws'))).to.deep.equal([
      'aws.image.dockerfile: found "nowhere/Dockerfile", but the project has no such file; write it or correct the path',
      'aws.authorities.entry: found "nowhere.pem", but the project has no such file; write it or correct the path',
    ]);
    expect(problemsOf(onAws('local'))).to.deep.equal([]);
  });

  it('[J4] [J5] is what a load balancer of AWS can do with requests, where it is the platform', () => {
    const onAws = (platform: string) => (d: Draft) => {
      d.platform = platform;
      d.aws = { ...sample.aws, integrations: { payments: 'https://payments.example.org' } };
      delete d.aws.authorities;
      d.application.services[0].protocol = 'h2c';
      d.application.writes = { reads: ['GET', 'M*SEARCH'], withoutCookie: ['sessionid'] };
      d.application.http = { headerKilobytes: 33, bodyMegabytes: 5 };
    };
    expect(problemsOf(onAws('aws'))).to.deep.equal([
      'application.services[0].protocol: "h2c" is for platform "local": target groups of HTTP/2 are not built; leave it out',
      'application.writes.reads[1]: a rule of a load balancer cannot have the method "M*SEARCH": it takes capital letters, "-" and "_"',
      'application.writes.withoutCookie: is for platform "local": a rule of a load balancer of AWS can ask for a cookie, and not for its absence; leave it out',
      'application.http.bodyMegabytes: is for platform "local": a load balancer of AWS has no such limit; leave it out',
      'application.http.headerKilobytes: a load balancer of AWS takes at most 32 KiB in the head of an answer, and 16 KiB in one header',
    ]);
    expect(problemsOf(onAws('local'))).to.deep.equal([]);
  });

  it('is the gates too: a waiver of one that does not exist is a mistake', () => {
    const waiver = (gate: string) => (d: Draft) => (d.waivers = [{ ...validWaiver, gate }]);
    expect(problemsOf(waiver('data-comparison'))).to.deep.equal([]);
    expect(problemsOf(waiver('capcity'))).to.deep.equal([
      'waivers[0].gate: found "capcity", but there is no such gate (did you mean "capacity"?)',
    ]);
    expect(problemsOf(waiver('everything'))[0]).to.include(
      'there is no such gate; the gates are migrations, unit-tests, ',
    );
  });
});
