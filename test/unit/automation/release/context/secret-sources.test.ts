import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { withJobEnvironment } from '../../../../../automation/release/context/job-environment.ts';
import { readSecrets, readSource } from '../../../../../automation/release/context/secret-sources.ts';
import { releaseDefinition, type ReleaseDefinition } from '../../../../../automation/config/schema.ts';
import { createLocalSecrets } from '../../../../../infra/local/lib/application-secrets.ts';
import { Layout } from '../../../../../infra/local/lib/layout.ts';
import { secrets } from '../../../../../infra/lib/redact.ts';
import type { Environment } from '../../../../../infra/platform/environment.ts';
import type { Job } from '../../../../../infra/platform/jobs.ts';
import type { Platform } from '../../../../../infra/platform/platform.ts';
import { validDefinition } from '../../../../lib/valid-definition.ts';

describe('sources of secrets', () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'greenlight-sources-'));
  });
  after(() => rmSync(directory, { recursive: true }));
  const file = (name: string, content: string | Buffer) => {
    const path = join(directory, name);
    writeFileSync(path, content);
    return { from: 'file', path } as const;
  };
  const definition = (change: (draft: ReturnType<typeof validDefinition>) => void): ReleaseDefinition => {
    const draft = validDefinition();
    change(draft);
    return releaseDefinition.parse(draft);
  };

  it('give the value as it is, without one newline at its end', async () => {
    const value = 'it\'s "quoted"\r\n\nünï 🔑\n';
    expect(await readSource(file('a', `${value}\n`))).to.deep.equal({ value });
    expect(await readSource(file('b', `${value}\r\n`))).to.deep.equal({ value });
    process.env['greenlight_test_secret'] = 'of the shell';
    expect(await readSource({ from: 'env', variable: 'greenlight_test_secret' })).to.deep.equal({
      value: 'of the shell',
    });
    delete process.env['greenlight_test_secret'];
    const command = ['sh', '-c', 'printf "%s\\n" "of a command"; echo noise >&2'];
    expect(await readSource({ from: 'command', command, timeoutSeconds: 5 })).to.deep.equal({ value: 'of a command' });
    expect(secrets.redact('x of a command, of the shell')).to.equal('x ***, ***');
  });

  it('that give nothing are all named at once, and none of their output', async () => {
    const wrong = definition((draft) => {
      draft.application.secrets = {
        gone: { from: 'file', path: 'no/such/file' },
        unset: { from: 'env', variable: 'greenlight_is_not_set' },
        fails: { from: 'command', command: ['sh', '-c', 'echo printed-anyway; exit 3'] },
        slow: { from: 'command', command: ['sleep', '30'], timeoutSeconds: 1 },
        absent: { from: 'command', command: ['greenlight-no-such-program'] },
        empty: file('empty', '\n'),
        binary: file('binary', Buffer.from([0xff, 0xfe, 1])),
        nul: file('nul', 'a\0b'),
        long: file('long', 'x'.repeat(200_000)),
        fine: file('fine', 'value'),
      };
      draft.environments = { production: { secrets: { fine: { from: 'env', variable: 'greenlight_is_not_set' } } } };
    });
    const { message } = await readSecrets(wrong, ['production']).then(
      () => new Error('read'),
      (error: Error) => error,
    );
    expect(message).to.match(
      /^reading the secrets of the application: 10 cannot be read\n {2}gone of production: there is no file \//,
    );
    for (const part of [
      'unset of production: the variable greenlight_is_not_set is not set; set it where you call Greenlight',
      'fails of production: the command sh -c echo printed-anyway; exit 3 ended with exit code 3; run it by hand',
      'slow of production: the command sleep 30 took longer than 1 s',
      'absent of production: the command greenlight-no-such-program could not be run (ENOENT)',
      `empty of production: the file ${join(directory, 'empty')} is empty`,
      'is not UTF-8; encode it',
      'contains NUL',
      'has more than 100000 bytes',
      'fine of production: the variable greenlight_is_not_set',
    ])
      expect(message).to.include(part);
    expect(message).to.match(/nothing was changed\. Correct this, then run it again$/);
  });

  it('are kept by versions from which nobody guesses the value, old ones until they are pruned', async () => {
    const home = mkdtempSync(join(directory, 'home-'));
    const kept = createLocalSecrets((environment) => new Layout(environment, join(home, environment)));
    const first = await kept.keep('staging', { pin: '1234' });
    expect(first['pin']).to.match(/^[0-9a-f]{32}$/);
    expect(await kept.versionOf('staging', '1234')).to.equal(first['pin']);
    expect(await kept.versionOf('production', '1234')).not.to.equal(first['pin']);
    const second = await kept.keep('staging', { pin: '5678' });
    expect(await kept.values('staging')).to.deep.equal({ pin: '5678' });
    expect((await kept.everyValue('staging')).sort()).to.deep.equal(['1234', '5678']);
    await kept.prune('staging', [first]);
    expect(await kept.everyValue('staging')).to.have.length(2);
    await kept.prune('staging', [second]);
    expect(await kept.everyValue('staging')).to.deep.equal(['5678']);
    rmSync(join(home, 'staging', 'secrets', `app-pin.${second['pin']}`));
    const lost = await kept.values('staging').catch((error: Error) => error.message);
    expect(lost).to.match(/^reading the secret pin of staging: .* is missing\n {2}.*npm run secrets -- --rotate$/);
  });

  it('reach jobs by application.jobs.env, and the login that a job has', async () => {
    const of = definition((draft) => {
      draft.application.secrets = { key: { from: 'env', variable: 'X' } };
      draft.application.jobs = {
        env: {
          PGUSER: '${database.user}',
          PGHOST: '${database.host}',
          KEY: '${secret.key}',
          DATABASE_URL: 'pg://${database.user}',
        },
      };
    });
    const ran: Record<string, string>[] = [];
    const jobs = {
      run: (job: Job) => {
        ran.push(job.env);
        return Promise.resolve({ exitCode: 0, timedOut: false, ms: 1, tail: '' });
      },
    };
    const platform = { secrets: { values: () => Promise.resolve({ key: 'K' }) } } as unknown as Platform;
    const wrapped = withJobEnvironment({ jobs } as unknown as Environment, {
      platform,
      definition: of,
      name: 'staging',
    });
    const login = { user: 'owner', password: 'p' };
    const access = {
      host: 'h',
      port: 1,
      database: 'd',
      caFile: '/c',
      admin: login,
      owner: login,
      app: { ...login, user: 'app' },
    };
    const artefact = { version: '1.0.0', digest: 'd', location: '/' };
    const job: Job = {
      name: 'j',
      artefact,
      command: ['x'],
      env: { DATABASE_URL: 'u', BASE_URL: 'b' },
      timeoutMs: 1,
      log: '/dev/null',
    };
    await wrapped.jobs.run({ ...job, database: { access, role: 'owner' } });
    await wrapped.jobs.run({ ...job, database: { access, role: 'app' } });
    await wrapped.jobs.run({ ...job, env: { BASE_URL: 'b' } });
    await wrapped.jobs.run({ ...job, image: 'k6', env: {} });
    expect(ran).to.deep.equal([
      { DATABASE_URL: 'pg://owner', BASE_URL: 'b', PGUSER: 'owner', PGHOST: 'h', KEY: 'K' },
      { DATABASE_URL: 'pg://app', BASE_URL: 'b', PGUSER: 'app', PGHOST: 'h', KEY: 'K' },
      { BASE_URL: 'b', KEY: 'K' },
      {},
    ]);
  });
});
