import { expect } from 'chai';
import { detect } from '../../../../automation/detect/detect.ts';
import { draft } from '../../../../automation/detect/definition.ts';
import { folderOf } from '../../../../automation/detect/folder.ts';
import { commandOf } from '../../../../automation/detect/node.ts';
import { readDockerfile } from '../../../../automation/detect/containers.ts';
import { OperationError } from '../../../../infra/lib/errors.ts';
import { applications, nodeWith, packageJson } from './applications.ts';

const of = (name: keyof typeof applications) => detect(applications[name] ?? expect.fail(`no ${name}`));
const startOf = (found: ReturnType<typeof detect>) => found.services[0]?.start?.value;

function refusal(work: () => unknown): OperationError {
  try {
    work();
  } catch (error) {
    expect(error).to.be.instanceOf(OperationError);
    return error as OperationError;
  }
  return expect.fail('it was not refused');
}

describe('what an application is, from its folder', () => {
  const frameworks: [string, string, Record<string, string>, string[]][] = [
    ['express', 'Express', { start: 'node server.js' }, ['node', 'server.js']],
    ['fastify', 'Fastify', { start: 'fastify start app.js' }, ['node_modules/.bin/fastify', 'start', 'app.js']],
    [
      'koa',
      'Koa',
      { start: 'NODE_ENV=production node app.js' },
      ['sh', '-c', 'exec env NODE_ENV=production node app.js'],
    ],
    ['hono', 'Hono', { start: 'tsx src/index.ts' }, ['node_modules/.bin/tsx', 'src/index.ts']],
    [
      'next',
      'Next',
      { start: 'next start', build: 'next build' },
      ['node', 'node_modules/next/dist/bin/next', 'start'],
    ],
    ['@nestjs/core', 'Nest', { start: 'nest start', build: 'nest build' }, ['node', 'dist/main.js']],
    [
      '@remix-run/serve',
      'Remix',
      { start: 'remix-serve build/index.js' },
      ['node_modules/.bin/remix-serve', 'build/index.js'],
    ],
    ['nuxt', 'Nuxt', { build: 'nuxt build' }, ['node', '.output/server/index.mjs']],
    ['@sveltejs/kit', 'SvelteKit', { build: 'vite build' }, ['node', 'build']],
    ['astro', 'Astro', { build: 'astro build' }, ['node', 'dist/server/entry.mjs']],
  ];
  for (const [dependency, is, scripts, start] of frameworks)
    it(`${is}: by its package, started as it is meant to be`, () => {
      const found = detect(nodeWith(dependency, scripts));
      expect(found.is).to.deep.equal({ value: is, from: `package.json dependencies.${dependency}` });
      expect(startOf(found)).to.deep.equal(start);
      expect(found.name).to.deep.equal({ value: 'shop', from: 'package.json name' });
      expect(found.version).to.deep.equal({ value: '1.2.3', from: 'package.json version' });
      const build = scripts['build'] === undefined ? [] : [['npm', 'run', 'build']];
      expect(found.prepare.map(({ value }) => value)).to.deep.equal([['npm', 'ci'], ...build]);
    });

  const locks: [string, string, string[]][] = [
    ['package-lock.json', '{}', ['npm', 'ci']],
    ['pnpm-lock.yaml', '', ['pnpm', 'install', '--frozen-lockfile']],
    ['yarn.lock', '__metadata:', ['yarn', 'install', '--immutable']],
    ['yarn.lock', '# yarn lockfile v1', ['yarn', 'install', '--frozen-lockfile']],
    ['bun.lock', '', ['bun', 'install', '--frozen-lockfile']],
  ];
  for (const [lock, text, install] of locks)
    it(`${install.join(' ')}: by ${lock}`, () => {
      const found = detect(folderOf({ 'package.json': packageJson({ scripts: { start: 'node a' } }), [lock]: text }));
      expect(found.prepare[0]).to.deep.equal({ value: install, from: lock });
    });

  it('two lock files: takes one and says so', () => {
    const found = detect(nodeWith('express', { start: 'node a' }, { 'yarn.lock': '' }));
    expect(found.prepare[0]?.value).to.deep.equal(['npm', 'ci']);
    expect(found.notes.join()).to.include('package-lock.json and yarn.lock: npm was taken');
  });

  it('a start script that needs a shell gets one, with the packages on its path', () => {
    expect(commandOf('prisma migrate deploy && next start')).to.deep.equal([
      'sh',
      '-c',
      'PATH="$PWD/node_modules/.bin:$PATH"; prisma migrate deploy && next start',
    ]);
    expect(commandOf('nodemon --watch . server.js')).to.deep.equal(['node', 'server.js']);
  });

  it('a port that is written into the source is said, as two instances cannot have it', () => {
    const found = detect(nodeWith('express', { start: 'node a.js' }, { 'a.js': 'app.listen(3000)' }));
    expect(found.notes.join()).to.include('a.js listens on 3000, whatever PORT says');
    const free = detect(
      nodeWith('express', { start: 'node a.js' }, { 'a.js': 'app.listen(process.env.PORT || 3000)' }),
    );
    expect(free.notes).to.deep.equal([]);
  });

  it('Django: settings, gunicorn, static files, Celery', () => {
    const found = of('Django');
    expect(found.is?.from).to.equal('manage.py, settings shop.settings');
    expect(startOf(found)?.at(-1)).to.equal(
      'PYTHONPATH=.packages:. exec python3 -m gunicorn --bind $HOST:$PORT shop.wsgi',
    );
    expect(found.prepare.map(({ value }) => value.slice(-2))).to.deep.equal([
      ['-r', 'requirements.txt'],
      ['collectstatic', '--noinput'],
    ]);
    expect(found.workers[0]?.start?.value.join(' ')).to.include('-m celery -A shop worker');
    expect(found.health[0]).to.deep.equal({ value: '/health/', from: 'shop/urls.py' });
    expect(found.env['DB_HOST']?.value).to.equal('${database.host}');
    expect(found.secrets).to.deep.equal({ 'secret-key': { value: 'SECRET_KEY', from: 'shop/settings.py' } });
  });

  it('Django without a server of its own: the one for development, and says so', () => {
    const found = detect(folderOf({ 'manage.py': 'DJANGO_SETTINGS_MODULE', 'requirements.txt': 'django' }));
    expect(startOf(found)?.at(-1)).to.include('manage.py runserver --noreload $HOST:$PORT');
    expect(found.services[0]?.start?.from).to.include('without gunicorn or uvicorn');
  });

  it('Flask and FastAPI: the module and the name of the application', () => {
    const flask = of('Flask');
    expect(startOf(flask)?.at(-1)).to.include('-m gunicorn --bind $HOST:$PORT app:app');
    expect(flask.workers[0]?.start?.value.at(-1)).to.include('-m rq.cli worker');
    expect(flask.database?.from).to.equal('app.py reads DATABASE_URL');
    const fast = of('FastAPI');
    expect(startOf(fast)?.at(-1)).to.include('-m uvicorn app.main:app --host $HOST --port $PORT');
    expect([fast.name.value, fast.version.value]).to.deep.equal(['orders', '2.1.0']);
    expect(fast.health[0]?.value).to.equal('/api/health');
  });

  it('Rails: puma, Sidekiq, /up, its key', () => {
    const found = of('Rails');
    expect(found.is?.value).to.equal('Rails');
    expect(startOf(found)).to.deep.equal(['sh', '-c', 'exec bundle exec puma -b tcp://$HOST:$PORT']);
    expect(found.workers[0]?.start?.value).to.deep.equal(['bundle', 'exec', 'sidekiq']);
    expect(found.health[0]?.value).to.equal('/up');
    expect(Object.keys(found.secrets)).to.deep.equal(['secret-key-base']);
  });

  it('Go: the main package that serves, the worker beside it, the address variable', () => {
    const found = of('Go');
    expect(found.name.value).to.equal('orders');
    expect(found.prepare.map(({ value }) => value.join(' '))).to.deep.equal([
      'go build -o bin/web ./cmd/server',
      'go build -o bin/worker ./cmd/worker',
      'go build -mod=mod -o bin/goose github.com/pressly/goose/v3/cmd/goose',
    ]);
    expect(found.workers.map(({ start }) => start?.value)).to.deep.equal([['bin/worker']]);
    expect(found.env['ADDR']?.value).to.equal('${host}:${port}');
    expect(found.health[0]?.value).to.equal('/healthz');
  });

  it('Spring Boot: version of the project and not of its parent, data source, actuator', () => {
    const found = of('Spring');
    expect([found.is?.value, found.name.value, found.version.value]).to.deep.equal(['Spring Boot', 'billing', '1.0.0']);
    expect(startOf(found)?.at(-1)).to.include('--server.port=$PORT');
    expect(found.env['SPRING_DATASOURCE_URL']?.value).to.include('jdbc:postgresql://${database.host}');
    expect(found.health[0]?.value).to.equal('/actuator/health');
  });

  it('Laravel: artisan, and that its server is for development', () => {
    const found = of('Laravel');
    expect(found.is?.value).to.equal('Laravel');
    expect(found.services[0]?.start?.from).to.include('for development');
  });

  it('a Dockerfile, where there is no start command: its last stage counts', () => {
    const found = of('Dockerfile');
    expect(found.services[0]?.image).to.deep.equal({
      value: { dockerfile: 'Dockerfile' },
      from: 'Dockerfile, 2 stages, EXPOSE 8080',
    });
    expect(found.notes.join()).to.include('exposes 8080').and.not.to.include('runs as root');
    // Migrations and workers run in the image, too.
    expect(draft(found, () => true).definition).not.to.have.nested.property('application.build');
    const root = readDockerfile('Dockerfile', 'FROM a\nUSER me\nFROM b\nCMD x\n');
    expect(root.user).to.equal(undefined);
  });

  for (const [text, problem] of [
    ['FORM node\n', 'line 1: there is no instruction FORM'],
    ['RUN make\nFROM a\n', 'line 1: RUN comes before the first FROM'],
    ['# nothing\n', 'it has no FROM'],
    ['FROM a\nRUN one \\\n  two\nCPY a b\n', 'line 4: there is no instruction CPY'],
  ])
    it(`a Dockerfile with a mistake: ${problem}`, () => {
      expect(readDockerfile('Dockerfile', text ?? '').problem).to.equal(problem);
      const found = detect(nodeWith('express', { start: 'node a' }, { Dockerfile: text ?? '' }));
      expect(found.notes.join()).to.include(`Dockerfile cannot be built, and was not used: ${problem}`);
    });

  it('a here-document of a Dockerfile is no instruction', () => {
    expect(readDockerfile('Dockerfile', 'FROM a\nRUN <<EOF\nmake\nEOF\nUSER 1\n').problem).to.equal(undefined);
  });

  it('a compose file: the service with ports, the worker, the database by its name', () => {
    const found = of('compose');
    expect(found.services.map(({ name, image }) => [name, image?.value.dockerfile])).to.deep.equal([
      ['api', 'Dockerfile'],
    ]);
    expect(found.workers.map(({ name, start }) => [name, start?.value])).to.deep.equal([['jobs', ['node', 'jobs.js']]]);
    const env = Object.fromEntries(Object.entries(found.env).map(([name, { value }]) => [name, value]));
    expect(env).to.include({ DB_HOST: '${database.host}', DB_PASSWORD: '${database.password}', LOG_LEVEL: 'info' });
    expect(Object.keys(found.secrets)).to.deep.equal(['jwt-secret']);
    expect(found.notes.join()).to.include('redis (redis:7)');
  });

  it('a compose file that is no YAML is said, and not used', () => {
    const found = detect(nodeWith('express', { start: 'node a' }, { 'compose.yml': 'a: [b' }));
    expect(found.notes.join()).to.include('compose.yml is no YAML, and was not used');
  });

  it('a Procfile: web, worker and release', () => {
    const found = of('Procfile');
    expect(startOf(found)).to.deep.equal(['node', 'index.js']);
    expect(found.workers.map(({ name, start }) => [name, start?.value])).to.deep.equal([
      ['worker', ['node', 'worker.js']],
    ]);
    expect(found.migrations?.expand).to.deep.equal({ value: ['node', 'migrate.js'], from: 'Procfile release' });
  });

  it('a Procfile that names the program of a Go module, and options in a table', () => {
    const found = detect(
      folderOf({
        Procfile: 'web: reader.example',
        'package.json': '{ "devDependencies": { "greenlight": "file:greenlight.tgz" } }',
        'go.mod': 'module reader.example/v2',
        'main.go': 'package main\nfunc main() {}',
        'internal/options.go':
          'package internal\nvar options = map[string]string{"DATABASE_URL": "", "LISTEN_ADDR": ""}',
      }),
    );
    expect(found.services).to.deep.equal([{ name: 'web', start: { value: ['bin/web'], from: 'Procfile web' } }]);
    expect(found.database?.from).to.equal('internal/options.go reads DATABASE_URL');
    expect(found.env['LISTEN_ADDR']?.value).to.equal('${host}:${port}');
  });

  it('package.json that cannot be read: where and why', () => {
    const error = refusal(() => detect(folderOf({ 'package.json': '{ "name": }' })));
    expect(error.doing).to.equal('reading package.json');
    expect(error.found).to.include('JSON');
    expect(refusal(() => detect(folderOf({ 'package.json': '[]' }))).found).to.equal('it is no object');
  });

  it('an empty folder, and one of which nothing is known', () => {
    expect(refusal(() => detect(folderOf({}))).message)
      .to.include('the folder is empty')
      .and.to.include('greenlight init --all');
    expect(refusal(() => detect(folderOf({ 'README.md': '' }))).message).to.include('none of its 1 files tells');
  });

  it('a repository of several packages: names them, and --directory', () => {
    const several = folderOf({
      'package.json': packageJson({ workspaces: ['apps/*'], scripts: { start: 'turbo run start' } }),
      'apps/web/package.json': '{}',
      'apps/api/package.json': '{}',
    });
    const error = refusal(() => detect(several));
    expect(error.found).to.include('apps/api, apps/web');
    expect(error.todo).to.include('greenlight init --directory apps/api');
  });
});
