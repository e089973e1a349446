import { expect } from 'chai';
import sample from '../../../../greenlight.config.ts';
import { checkRelease } from '../../../../automation/config/load.ts';
import { environmentSpec } from '../../../../automation/release/context/spec.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';
import { problemsOf, saysWhere, type Case } from './problems-of.ts';

/* eslint-disable @typescript-eslint/no-unsafe-member-access -- see Draft */

const worker = (more: object = {}) => ({ name: 'mailer', start: ['node', 'worker.js'], ...more });
const schedule = (more: object = {}) => ({
  name: 'nightly',
  cron: '0 3 * * *',
  command: ['node', 'report.js'],
  ...more,
});
const withCron =
  (cron: unknown): Case[1] =>
  (d) =>
    (d.application.schedules = [schedule({ cron })]);

const cases: Case[] = [
  [
    'a worker with the name of a service',
    (d) => (d.application.workers = [worker({ name: 'api' })]),
    'application.workers[0].name: "api" is already the name of services[1]; rename one of them',
  ],
  [
    'a schedule with the name of a worker',
    (d) => {
      d.application.workers = [worker()];
      d.application.schedules = [schedule({ name: 'mailer' })];
    },
    'application.schedules[0].name: "mailer" is already the name of workers[0]',
  ],
  [
    'a key that a worker has not',
    (d) => (d.application.workers = [worker({ routes: ['/'] })]),
    'application.workers[0].routes: unknown key',
  ],
  [
    'a cron expression of six fields',
    withCron('0 0 3 * * *'),
    'application.schedules[0].cron: "0 0 3 * * *" has not five fields; write five fields such as',
  ],
  ['a cron nickname', withCron('@daily'), 'application.schedules[0].cron: "@daily" has not five fields'],
  [
    'a minute that no hour has',
    withCron('61 * * * *'),
    'application.schedules[0].cron: "61 * * * *" is no cron expression (',
  ],
  ['a day that no month has', withCron('0 0 31 2 *'), 'application.schedules[0].cron: "0 0 31 2 *" never comes'],
  [
    'a zone that is none',
    (d) => (d.application.schedules = [schedule({ timeZone: 'Mars' })]),
    'application.schedules[0].timeZone: found "Mars"; give an IANA time zone',
  ],
  [
    'no time to stop',
    (d) => (d.application.workers = [worker({ stopSeconds: 0 })]),
    'application.workers[0].stopSeconds: found 0',
  ],
  [
    'a port that a worker does not have',
    (d) => (d.application.workers = [worker({ env: { ADDRESS: '${port}' } })]),
    'application.workers[0].env.ADDRESS: names ${port}, which is not known here',
  ],
  [
    'a database that a worker does without',
    (d) => (d.application.workers = [worker({ database: false, env: { DB: '${database.host}' } })]),
    'application.workers[0].env.DB: names a database, and the worker has none; add database: true to workers[0]',
  ],
  [
    'a variable of an integration in a schedule',
    (d) => (d.application.schedules = [schedule({ env: { PAYMENTS_URL: 'x' } })]),
    'application.schedules[0].env.PAYMENTS_URL: integrations[0] sets this variable to its URL',
  ],
  [
    'two directories of one name',
    (d) => (d.application.files = [{ name: 'uploads' }, { name: 'uploads' }]),
    'application.files[1].name: the name "uploads" is already at [0]',
  ],
  [
    'a directory whose variable a service sets',
    (d) => {
      d.application.files = [{ name: 'uploads', env: 'UPLOADS' }];
      d.application.services[0].env = { UPLOADS: '/tmp' };
    },
    'application.services[0].env.UPLOADS: files[0] sets this variable to its path',
  ],
  [
    'a directory in the place of PATH',
    (d) => (d.application.files = [{ name: 'uploads', env: 'PATH' }]),
    'application.files[0].env: Greenlight sets this variable itself',
  ],
  [
    'a directory that there is not',
    (d) => (d.application.services[0].env = { UPLOADS: '${files.uploads}' }),
    'application.services[0].env.UPLOADS: names ${files.uploads}, which is not known here',
  ],
  [
    'instances of a worker that there is not',
    (d) => {
      d.application.workers = [worker()];
      d.environments = { production: { instances: { mialer: 2 } } };
    },
    'environments.production.instances.mialer: there is no service of this name; the services are web, api; the workers are mailer',
  ],
];

describe('messages about workers, schedules and files', () => {
  saysWhere(cases);

  it('name each key that the platform aws has not yet', () => {
    const problems = problemsOf((d) => {
      d.platform = 'aws';
      d.aws = { ...sample.aws, integrations: { payments: 'https://payments.example.org' } };
      Object.assign(d.application, { workers: [worker()], schedules: [schedule()], files: [{ name: 'uploads' }] });
    });
    expect(problems.map((problem) => problem.slice(0, problem.indexOf(' only')))).to.deep.equal([
      'application.workers: are for platform "local"',
      'application.schedules: are for platform "local"',
      'application.files: are for platform "local"',
    ]);
  });
});

describe('workers, schedules and files in the environment', () => {
  const specOf = (application: object) => {
    const valid = validDefinition();
    const definition = { ...valid, application: { ...valid.application, ...application } };
    return environmentSpec(
      checkRelease(
        'x.config.ts',
        { ...definition, environments: { production: { instances: { mailer: 3 } } } },
        () => [],
      ),
      'production',
    );
  };

  it('have the sizes of the environment, and defaults', () => {
    const { workers, schedules, files } = specOf({
      workers: [worker()],
      schedules: [schedule()],
      files: [{ name: 'uploads' }],
    });
    expect(workers).to.deep.equal([{ ...worker(), instances: 3, database: true, env: {}, stopSeconds: 30 }]);
    const defaults = { timeZone: 'UTC', database: true, env: {}, stopSeconds: 30, timeoutSeconds: 3600 };
    expect(schedules).to.deep.equal([{ ...schedule(), ...defaults }]);
    expect(files).to.deep.equal([{ name: 'uploads', maxMegabytes: 1024 }]);
  });

  it('leave no trace where there are none', () => {
    const valid = validDefinition();
    const spec = environmentSpec(
      checkRelease('x.config.ts', valid, () => []),
      'production',
    );
    expect(spec).not.to.have.any.keys('workers', 'schedules', 'files');
  });
});
