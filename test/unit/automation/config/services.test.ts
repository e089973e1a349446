import { expect } from 'chai';
import { problemsOf, saysWhere, type Draft } from './problems-of.ts';

const env = (values: Record<string, string>) => (d: Draft) => {
  d.application.services[1].env = values;
};
const at = 'application.services[1].env';

describe('the environment of a service in a definition', () => {
  saysWhere([
    [
      'a name that nobody knows',
      env({ X: '${database.hots}' }),
      `${at}.X: names \${database.hots}, which is not known here (did you mean "database.host"?); use one of database.url, `,
    ],
    [
      'a secret without a source',
      (d) => {
        d.application.secrets = { 'session-key': { from: 'file', path: 'key' } };
        env({ X: 'a${secret.sesion-key}' })(d);
      },
      `${at}.X: names \${secret.sesion-key}, and application.secrets has no "sesion-key" (did you mean "session-key"?); add it there`,
    ],
    ['a name without an end', env({ X: 'a ${port' }), `${at}.X: has "\${" without "}"; write $\${ for a literal \${`],
    ['a variable that is none', env({ '1X': 'a' }), `${at}["1X"]: found the name`],
    ['a variable of Greenlight', env({ GREENLIGHT_COLOUR: 'a' }), `${at}.GREENLIGHT_COLOUR: Greenlight sets this`],
    [
      'a database that the service has not',
      (d) => {
        d.application.services[0].env = { PGHOST: '${database.host}' };
      },
      'application.services[0].env.PGHOST: names a database, and the service has none; add database: true to services[0]',
    ],
    [
      'the port of a job',
      (d) => {
        d.application.jobs = { env: { X: '${port}' } };
      },
      'application.jobs.env.X: names ${port}, which is not known here',
    ],
    [
      'a secret of one environment alone',
      (d) => {
        d.environments = { staging: { secrets: { key: { from: 'env', variable: 'KEY' } } } };
      },
      'environments.staging.secrets.key: has no source for production; add it to application.secrets, or to environments.production.secrets',
    ],
    [
      'a source of another kind',
      (d) => {
        d.application.secrets = { key: { from: 'vault', path: 'x' } };
      },
      'application.secrets.key.from: found "vault"; give { from: ',
    ],
    [
      'a health check of another kind',
      (d) => {
        d.application.services[0].health = { tcp: false };
      },
      'application.services[0].health.tcp: found false; choose one of true',
    ],
    [
      'a stop time that no platform keeps',
      (d) => {
        d.application.services[0].stopSeconds = 121;
      },
      'application.services[0].stopSeconds: ',
    ],
  ]);

  it('may have every name, in any case, and what Greenlight sets otherwise', () => {
    const values = {
      HOST: '0.0.0.0',
      PORT: '${port}',
      PUBLIC_URL: 'https://app.example.org',
      DATABASE_URL:
        'postgresql+psycopg://${database.user}:${database.password}@${database.host}:${database.port}/${database.name}',
      pg_host: '${database.host}',
      _x: '${database.url}${database.caFile}${host}${publicUrl}${version}${colour}${environment}${secret.key}',
      LITERAL: '$${HOME} $HOME $ {x} 100%',
    };
    const problems = problemsOf((d) => {
      env(values)(d);
      d.application.jobs = { env: { PGUSER: '${database.user}', K: '${secret.key}' } };
      d.environments = {
        staging: { secrets: { key: { from: 'env', variable: 'key_1' } } },
        production: { secrets: { key: { from: 'command', command: ['pass', 'show', 'key'] } } },
      };
    });
    expect(problems).to.deep.equal([]);
  });

  it('has health in every form', () => {
    for (const health of [
      '/up',
      { path: '/up', status: [200, 204], headers: { 'x-probe': 'a b%' } },
      { path: '/up', status: 401 },
      { tcp: true },
      { command: ['./check'] },
    ]) {
      const problems = problemsOf((d) => {
        d.application.services[0].health = health;
      });
      expect(problems).to.deep.equal([]);
    }
  });
});
