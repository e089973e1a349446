import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { execa } from 'execa';
import { projectRoot } from '../../../infra/lib/paths.ts';
import { applications } from './applications.ts';

/** What is written for each, as far as it has to be right. */
const expected: Record<string, string[]> = {
  'Express with node-pg-migrate': [
    "start: ['node', 'server.js'], // package.json scripts.start",
    "health: '/health', // server.js; it answered 200",
    "expand: ['node_modules/.bin/node-pg-migrate', 'up'], // package.json scripts.migrate",
  ],
  Django: [
    "health: '/healthz/', // shop/urls.py; it answered 200",
    "DB_HOST: '${database.host}'",
    "'manage.py', 'migrate'",
  ],
  'Go with golang-migrate': [
    "start: ['bin/web']",
    "health: '/ping', // main.go; it answered 200",
    'exec bin/migrate -path migrations',
  ],
};

describe('init and check, in the folders of applications that know nothing of Greenlight', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'greenlight-application-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const greenlight = (...args: string[]) =>
    execa(process.execPath, [join(projectRoot(), 'automation', 'cli.ts'), ...args], {
      env: {
        GREENLIGHT_HOME: join(folder, 'home'),
        GREENLIGHT_PROJECT: join(folder, 'application'),
        SECRET_KEY: 'of the test',
      },
      reject: false,
      all: true,
    });

  for (const [name, files] of Object.entries(applications))
    it(`${name}: what init writes is what check accepts`, async () => {
      const application = join(folder, 'application');
      for (const [file, text] of Object.entries(files)) {
        mkdirSync(dirname(join(application, file)), { recursive: true });
        writeFileSync(join(application, file), text);
      }
      // What its owner has committed: the checksums of its modules.
      if ('go.mod' in files) await execa('go', ['build', '-mod=mod', '-o', '/dev/null', '.'], { cwd: application });
      const init = await greenlight('init', '--directory', application, '--yes');
      expect(init.exitCode, init.all).to.equal(0);
      expect(init.all).not.to.include('To do:').and.not.to.include('could not be started');
      const config = join(application, 'greenlight.config.ts');
      const written = readFileSync(config, 'utf8');
      expect(written.trimEnd().split('\n').length, written).to.be.lessThan(50);
      for (const part of expected[name] ?? []) expect(written, init.all).to.include(part);

      const check = await greenlight('check', '--config', config, '--json');
      const { errors, lines } = JSON.parse(check.stdout) as {
        errors: number;
        lines: { level: string; about: string }[];
      };
      expect(errors, check.stdout).to.equal(0);
      expect(check.exitCode).to.equal(0);
      expect(lines.filter(({ level }) => level === 'ok').map(({ about }) => about)).to.include.members([
        'application.build',
        'application.migrations',
        'the database',
        'GET /',
        'without the right to write',
      ]);
    });
});
