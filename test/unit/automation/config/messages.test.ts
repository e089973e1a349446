import { expect } from 'chai';
import { checkRelease, ConfigError } from '../../../../automation/config/load.ts';
import { gatesOf } from '../../../../automation/release/plan.ts';
import { serviceEnvironment } from '../../../../infra/application/environment.ts';
import { nearest } from '../../../../infra/lib/nearest.ts';
import sample from '../../../../greenlight.config.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';

/** A definition as somebody without an editor's help may write it. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- the point is what the types would forbid
type Draft = any;

/* eslint-disable @typescript-eslint/no-unsafe-member-access -- see Draft */

function problemsOf(change: (draft: Draft) => void): string[] {
  const draft: Draft = validDefinition();
  change(draft);
  try {
    checkRelease('/somewhere/greenlight.config.ts', draft, gatesOf);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
  return [];
}

const validWaiver = { gate: 'capacity', reason: 'decided in the review', by: 'product owner', expires: '2099-12-31' };

const incompatible = { files: ['006.sql'], readOnlyWindow: { longestSeconds: 60 } };
/** A definition that is right but for one key of `migrations.incompatible`. */
const withWindow = (change: object, expected: string): [(draft: Draft) => void, string] => [
  (d) => {
    d.canary = { steps: [] };
    d.application.migrations.incompatible = { ...incompatible, ...change };
  },
  `application.migrations.incompatible.${expected}`,
];

const cases: [string, (draft: Draft) => void, string][] = [
  ['a misspelt key', (d) => (d.platfrom = 'local'), 'platfrom: unknown key; did you mean "platform"?'],
  [
    'a misspelt key deep inside',
    (d) => (d.application.services[1].helath = '/up'),
    'application.services[1].helath: unknown key; did you mean "health"?',
  ],
  [
    'a key that resembles nothing',
    (d) => (d.cutover = { zzzzzz: 1 }),
    'cutover.zzzzzz: unknown key; known here: holdMs, drainMs',
  ],
  [
    'a missing key',
    (d) => delete d.application.version,
    'application.version: is missing; give a text in quotes: the version to release',
  ],
  ['a missing section', (d) => delete d.tests, 'tests: is missing; give a group of settings, in { }'],
  [
    'a route without its slash',
    (d) => (d.application.services[1].routes = ['api']),
    'application.services[1].routes[0]: found "api"; give an absolute URL path such as /api',
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
    (d) => (d.application.services[0].env = { DATABASE_URL: 'x' }),
    'application.services[0].env.DATABASE_URL: Greenlight sets this variable itself',
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
    'a variable in small letters',
    (d) => (d.application.services[0].env = { path: 'x' }),
    'application.services[0].env.path: found the name "path"; use capital letters',
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
    'contract names with the command form',
    (d) => (d.application.migrations = { expand: ['migrate'], contract: ['004.sql'] }),
    'application.migrations.contract[0]: "004.sql" is the name of a file; file names need "directory"',
  ],
  [
    'a contract name with a folder',
    (d) => (d.application.migrations.contract = ['../004.sql']),
    'application.migrations.contract[0]: "../004.sql" is not the name of an SQL file',
  ],
  [
    'a canary before a read-only window',
    (d) => (d.application.migrations.incompatible = incompatible),
    'canary.steps: there can be no canary: with application.migrations.incompatible the new version serves nobody before the read-only window; set it to [], or take incompatible out',
  ],
  [
    'a canary before a read-only window of a command',
    (d) => {
      const { readOnlyWindow } = incompatible;
      d.application.migrations = { expand: ['migrate'], incompatible: { command: ['more'], readOnlyWindow } };
      d.canary = { steps: [50] };
    },
    'canary.steps: there can be no canary',
  ],
  [
    'an incompatible name with a folder',
    ...withWindow({ files: ['b/006.sql'] }, 'files[0]: "b/006.sql" is not the name of an SQL file'),
  ],
  [
    'an incompatible name twice',
    ...withWindow({ files: ['006.sql', '006.sql'] }, 'files[1]: "006.sql" is there twice'),
  ],
  ['no incompatible name', ...withWindow({ files: [] }, 'files: found []; give at least 1 entry')],
  [
    'a file that is incompatible and contract',
    (d) => {
      d.canary = { steps: [] };
      d.application.migrations = { directory: 'migrations', contract: ['006.sql'], incompatible };
    },
    'application.migrations.incompatible.files[0]: "006.sql" is in contract, too; a file runs once, so remove one',
  ],
  [
    'a window whose length nobody has thought about',
    ...withWindow({ readOnlyWindow: {} }, 'readOnlyWindow.longestSeconds: is missing; give a number: longest time'),
  ],
  [
    'a window without end',
    ...withWindow(
      { readOnlyWindow: { longestSeconds: 3601 } },
      'readOnlyWindow.longestSeconds: found 3601; give at most 3600',
    ),
  ],
  [
    'a window that is over before it begins',
    ...withWindow({ readOnlyWindow: { longestSeconds: 4 } }, 'readOnlyWindow.longestSeconds: found 4; give at least 5'),
  ],
  [
    'an accepted finding of a rule that is none',
    (d) => (d.application.migrations.accept = [{ file: '005.sql', rule: 'losens', reason: 'longer names come later' }]),
    'application.migrations.accept[0].rule: found "losens"; choose one of "breaks-old-version", "breaks-replication", "loosens"',
  ],
  [
    'an accepted finding that no file can have',
    (d) =>
      (d.application.migrations.accept = [{ file: 'a/005.sql', rule: 'loosens', reason: 'longer names come later' }]),
    'application.migrations.accept[0].file: "a/005.sql" is not the name of an SQL file',
  ],
  [
    'an accepted finding that is about nothing',
    (d) => (d.application.migrations.accept = [{ rule: 'loosens', reason: 'longer names come later' }]),
    'application.migrations.accept[0]: it needs a file or an object',
  ],
  [
    'an accepted finding of a command that is about a file',
    (d) =>
      (d.application.migrations = {
        expand: ['migrate'],
        accept: [{ object: 'public.a', file: '005.sql', rule: 'loosens', reason: 'longer names come later' }],
      }),
    'application.migrations.accept[0].file: unknown key',
  ],
  [
    'an accepted finding that cannot run',
    (d) =>
      (d.application.migrations.accept = [{ file: '005.sql', rule: 'not-transactional', reason: 'it is faster so' }]),
    'application.migrations.accept[0].rule: found "not-transactional"; choose one of',
  ],
  [
    'an accepted finding without a reason',
    (d) => (d.application.migrations.accept = [{ file: '005.sql', rule: 'loosens', reason: 'ok' }]),
    'application.migrations.accept[0].reason: found "ok"; give at least 10 characters',
  ],
  [
    'a finding that is accepted twice',
    (d) => {
      const entry = { file: '005.sql', rule: 'loosens', reason: 'longer names come later' };
      d.application.migrations.accept = [entry, { ...entry }];
    },
    'application.migrations.accept[1]: "loosens" of 005.sql is there twice; remove one',
  ],
  [
    'a misspelt key in one of two forms',
    (d) => (d.application.migrations = { directory: 'migrations', contrakt: [] }),
    'application.migrations.contrakt: unknown key; did you mean "contract"?',
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
    'an unknown choice',
    (d) => (d.security = { failOn: 'hihg' }),
    'security.failOn: found "hihg"; choose one of "low", "medium", "high" (did you mean "high"?)',
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
    'data.ledger: is missing: without it the writes of the synthetic traffic',
  ],
  [
    'two receivers of one name',
    (d) => (d.alerts = { receivers: [1, 2].map(() => ({ name: 'ops', webhook: 'http://localhost/x' })) }),
    'alerts.receivers[1].name: the name "ops" is already at [0]',
  ],
];

describe('messages about a wrong release definition', () => {
  it('has nothing to say about one that is right', () => {
    expect(problemsOf(() => undefined)).to.deep.equal([]);
  });

  for (const [what, change, expected] of cases) {
    it(`says where ${what} is, and what to do`, () => {
      const problems = problemsOf(change);
      expect(problems, problems.join('\n')).to.have.lengthOf(1);
      expect(problems[0]).to.satisfy(
        (message: string) => message.startsWith(expected),
        `${problems[0]}\n  wanted ${expected}`,
      );
    });
  }

  it('lists everything at once, of all layers: keys, types, values, and rules between sections', () => {
    const problems = problemsOf((d) => {
      d.platfrom = 'aws';
      d.application.name = 'a;b';
      d.application.services[0].env = { lower: 'x' };
      d.application.services[1].routes = ['/'];
      d.application.services[1].instances = 'two';
      d.environments = { staging: { instances: { ghost: 1 }, port: 80 } };
      d.canary = { steps: [50, 10], minRequests: NaN };
      d.waivers = [{ ...validWaiver, expires: '2020-01-01' }];
    });
    expect(problems.map((problem) => problem.split(':')[0])).to.have.members([
      'platfrom',
      'application.name',
      'application.services[0].env.lower',
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

  it('says that a key belongs to the other form of the migrations', () => {
    const files = (d: Draft) => {
      d.canary = { steps: [] };
      d.application.migrations = { expand: ['migrate'], incompatible };
    };
    expect(problemsOf(files)).to.deep.equal([
      'application.migrations.incompatible.command: is missing; give a list, in [ ]',
      'application.migrations.incompatible.files: unknown key here: it belongs to another form of this setting, so leave it out',
    ]);
  });

  it('accepts a release without a canary, and one with a read-only window', () => {
    expect(problemsOf((d) => (d.canary = { steps: [] }))).to.deep.equal([]);
    for (const longestSeconds of [5, 3600]) {
      const files = (d: Draft) => {
        d.canary = { steps: [] };
        d.application.migrations.incompatible = { ...incompatible, readOnlyWindow: { longestSeconds } };
      };
      expect(problemsOf(files)).to.deep.equal([]);
    }
    const command = (d: Draft) => {
      const { readOnlyWindow } = incompatible;
      d.canary = { steps: [] };
      d.application.migrations = { expand: ['migrate'], incompatible: { command: ['more'], readOnlyWindow } };
      d.waivers = [{ ...validWaiver, gate: 'read-only-window' }];
    };
    expect(problemsOf(command)).to.deep.equal([]);
    const withoutWindow = problemsOf((d) => (d.waivers = [{ ...validWaiver, gate: 'read-only-window' }]));
    expect(withoutWindow.join()).to.include('waivers[0].gate');
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
      { host: 'h', port: 1, publicUrl: 'u', urlOf: () => 'u', databaseUrl: 'u', ...place },
    );
    return Object.keys({ ...variables, ...secrets });
  };
  const refused = (platform: string, name: string) =>
    problems(platform, { [name]: 'x' }).some((problem) => problem.startsWith(`application.services[1].env.${name}: `));

  it('are never those that would be replaced: all that Greenlight sets are refused', () => {
    expect(setBy({ caFile: 'f', searchPath: 'p' }).filter((name) => !refused('local', name))).to.deep.equal([]);
    expect(setBy({}).filter((name) => !refused('aws', name))).to.deep.equal([]);
  });

  it('may be those that only this machine sets, where the platform is another', () => {
    const env = { PATH: '/opt/bin:/usr/bin:/bin', NODE_EXTRA_CA_CERTS: '/etc/ssl/company.pem', LEVEL: 'debug' };
    expect(problems('aws', env)).to.deep.equal([]);
    expect(problems('local', { LEVEL: 'debug' })).to.deep.equal([]);
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

describe('the nearest known word', () => {
  it('forgives typing errors and case, and does not guess', () => {
    expect(nearest('platfrom', ['platform', 'approval'])).to.equal('platform');
    expect(nearest('Routes', ['routes'])).to.equal('routes');
    expect(nearest('lcoal', ['local', 'aws'])).to.equal('local');
    expect(nearest('xyz', ['routes', 'name'])).to.equal(undefined);
  });
});
