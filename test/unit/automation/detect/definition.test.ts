import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { format, resolveConfig } from 'prettier';
import { draft } from '../../../../automation/detect/definition.ts';
import { detect } from '../../../../automation/detect/detect.ts';
import { folderOf, openFolder } from '../../../../automation/detect/folder.ts';
import { members } from '../../../../automation/detect/print.ts';
import { fact } from '../../../../automation/detect/facts.ts';
import { projectRoot } from '../../../../infra/lib/paths.ts';
import { applications, packageJson } from './applications.ts';

const all = (): boolean => true;
const style = async () => ({
  ...(await resolveConfig(join(projectRoot(), 'automation', 'cli.ts'))),
  parser: 'typescript',
});

describe('the definition that is written of what was found', () => {
  for (const [name, folder] of Object.entries(applications))
    it(`${name}: short, as Prettier formats it`, async () => {
      const { text } = draft(detect(folder), all);
      // One of them has a worker, secrets and a build of several steps.
      expect(text.trimEnd().split('\n').length, text).to.be.lessThan(name === 'Django' ? 53 : 40);
      expect(await format(text, await style())).to.equal(text);
    });

  it('an application with a migration tool, from end to end', () => {
    const { text } = draft(detect(applications['Express'] ?? expect.fail()), all);
    expect(text).to.equal(`import { defineRelease } from 'greenlight';

// What greenlight init found: Express (package.json dependencies.express). Comments say from what a guess follows. All keys: init --all
const env = { SESSION_SECRET: '\${secret.session-secret}' }; // server.js
export default defineRelease({
  application: {
    name: 'shop', // package.json name
    version: '1.2.3', // package.json version
    baseline: '1.2.2', // git tag v1.2.2
    build: { directory: '.', ref: 'v\${version}', prepare: ['npm', 'ci'] }, // git tags; package-lock.json
    secrets: { 'session-secret': { from: 'env', variable: 'SESSION_SECRET' } }, // server.js
    services: [
      {
        name: 'web',
        start: ['node', 'server.js'], // package.json scripts.start
        routes: ['/'],
        health: '/health', // server.js
        database: true, // knexfile.js reads DATABASE_URL
        env,
      },
    ],
    migrations: {
      expand: ['node_modules/.bin/knex', 'migrate:latest'], // package.json scripts.migrate
      records: ['knex_migrations', 'knex_migrations_lock'],
    },
    jobs: { env },
  },
  // package.json scripts.test: Mocha
  tests: {
    unit: {
      command: ['node_modules/.bin/mocha', '--reporter', 'xunit', '--reporter-option', 'output={results}', 'test/*.js'],
    },
  },
});
`);
  });

  it('a fact whose key the schema does not have is said instead', () => {
    const { definition, notes } = draft(
      detect(applications['Procfile'] ?? expect.fail()),
      (key) => !key.endsWith('workers'),
    );
    expect(definition).not.to.have.nested.property('application.workers');
    expect(notes.join()).to.include('no key application.workers yet').and.to.include('worker.js');
  });

  it('what was not found is a TODO, and an answer takes its place', () => {
    const application = detect(folderOf({ 'alembic.ini': '', 'requirements.txt': 'alembic' }));
    const { definition } = draft(application, all);
    const [todo] = (definition as { application: { services: [{ start: string[] }] } }).application.services[0].start;
    expect(todo).to.match(/^TODO: write the program and its arguments/);
    const answered = draft(application, all, new Map([[todo ?? '', 'python3 main.py --x']]));
    expect(answered.text).to.include("start: ['python3', 'main.py', '--x'], // as answered");
  });

  it('quotes and long lists as Prettier writes them', async () => {
    const lines = members(
      {
        a: "it's",
        b: 'say "x"',
        c: `'"`,
        'd-e': fact(['x'.repeat(60), 'y'.repeat(60)], 'long'),
        f: { g: 1, h: true },
        i: [],
      },
      '  ',
    );
    const text = ['export default f({', ...lines, '});', ''].join('\n');
    expect(await format(text, await style())).to.equal(text);
  });
});

describe('the folder of an application', () => {
  let directory: string;
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: directory, stdio: 'pipe' });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'greenlight-detect-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('has its files, without what is installed, and the tags of its repository', () => {
    writeFileSync(join(directory, 'package.json'), packageJson({}));
    for (const folder of ['src', 'node_modules/x', '.git/x']) mkdirSync(join(directory, folder), { recursive: true });
    writeFileSync(join(directory, 'src/a.js'), 'a');
    writeFileSync(join(directory, 'node_modules/x/b.js'), 'b');
    symlinkSync('/etc', join(directory, 'elsewhere'));
    const plain = openFolder(directory);
    expect(plain.files).to.deep.equal(['package.json', 'src/a.js']);
    expect(plain.tags).to.deep.equal([]);
    expect(plain.read('src/a.js')).to.equal('a');
    expect(plain.read('src/none.js')).to.equal(undefined);
    git('init', '-q');
    git('add', 'package.json');
    git('commit', '-qm', 'a');
    for (const tag of ['v1.2.0', 'v1.10.0']) git('tag', tag);
    expect(openFolder(directory).tags).to.deep.equal(['v1.10.0', 'v1.2.0']);
    expect(openFolder(join(directory, 'src')).tags).to.deep.equal([]);
  });

  it('a program is named as the services find it', () => {
    expect(openFolder(directory, ['/usr/bin', '/bin']).program('sh')).to.equal('sh');
    expect(openFolder(directory, [directory]).program('sh')).to.match(/^\/.*\/sh$/);
    expect(openFolder(directory, [directory]).program('no-such-program')).to.equal('no-such-program');
  });
});
