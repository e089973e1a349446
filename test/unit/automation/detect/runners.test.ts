import { expect } from 'chai';
import { environment } from '../../../../automation/detect/environment.ts';
import { folderOf } from '../../../../automation/detect/folder.ts';
import { health } from '../../../../automation/detect/health.ts';
import { tests } from '../../../../automation/detect/tests.ts';
import { asName, asVersion, argvOf } from '../../../../automation/detect/text.ts';
import { olderTag, versions } from '../../../../automation/detect/versions.ts';
import { packageJson } from './applications.ts';

const bin = 'node_modules/.bin';
const script = (test: string, devDependencies: Record<string, string> = {}) => ({
  'package.json': packageJson({ scripts: { test }, devDependencies }),
});

describe('the tests of an application, by their runner', () => {
  const cases: [string, Record<string, string>, string, string][] = [
    [
      'Mocha',
      script('mocha test/*.js'),
      `${bin}/mocha --reporter xunit --reporter-option output={results} test/*.js`,
      'junit',
    ],
    ['Vitest', script('vitest'), `${bin}/vitest run --reporter=junit --outputFile={results}`, 'junit'],
    ['Jest', script('jest --watch'), `${bin}/jest --ci`, 'exit-code'],
    [
      'Jest with jest-junit',
      script('jest', { 'jest-junit': '16' }),
      `env JEST_JUNIT_OUTPUT_FILE={results} ${bin}/jest --ci --reporters=jest-junit`,
      'junit',
    ],
    [
      'node --test',
      script('node --test test/'),
      'node --test --test-reporter=junit --test-reporter-destination={results} test/',
      'junit',
    ],
    ['any other script', script('tap run'), 'npm test', 'exit-code'],
    [
      'pytest',
      { 'requirements.txt': 'pytest' },
      'env PYTHONPATH=.packages:. python3 -m pytest --junitxml={results}',
      'junit',
    ],
    ['go test', { 'go.mod': '', 'a_test.go': '' }, 'go test ./...', 'exit-code'],
    ['RSpec', { Gemfile: "gem 'rspec-rails'" }, 'bundle exec rspec', 'exit-code'],
    [
      'RSpec with its formatter',
      { Gemfile: "gem 'rspec-rails'\ngem 'rspec_junit_formatter'" },
      'bundle exec rspec --format RspecJunitFormatter --out {results}',
      'junit',
    ],
    ['surefire', { 'pom.xml': '', 'src/test/java/A.java': '' }, 'mvn --batch-mode test', 'exit-code'],
  ];
  for (const [name, files, command, format] of cases)
    it(`${name}: with JUnit XML where it can write it`, () => {
      const [found, ...more] = tests(folderOf(files)).tests ?? [];
      expect(found?.command.value.join(' ')).to.equal(command);
      expect(found?.format).to.equal(format);
      expect(more).to.deep.equal([]);
    });

  it('those that want a database are integration tests', () => {
    const files = { ...script('mocha'), 'test/a.js': 'new Pool({ connectionString: process.env.DATABASE_URL })' };
    expect(tests(folderOf(files)).tests?.map(({ kind }) => kind)).to.deep.equal(['integration']);
    expect(tests(folderOf(script('mocha'))).tests?.map(({ kind }) => kind)).to.deep.equal(['unit']);
  });

  it('Playwright is acceptance, beside the others', () => {
    const found = tests(folderOf(script('vitest run', { '@playwright/test': '1' }))).tests ?? [];
    expect(found.map(({ kind }) => kind).sort()).to.deep.equal(['acceptance', 'unit']);
  });

  it('the script that npm init writes is no test', () => {
    expect(tests(folderOf(script('echo "Error: no test specified" && exit 1')))).to.deep.equal({});
  });
});

describe('the variables of an application', () => {
  const envOf = (source: string, file = 'a.js', more: Record<string, string> = {}) =>
    environment(folderOf({ [file]: source, ...more }));

  for (const [file, source] of [
    ['a.js', 'process.env.DB_URL'],
    ['a.ts', "process.env['DB_URL']"],
    ['a.py', "os.environ['DB_URL']"],
    ['a.go', 'os.Getenv("DB_URL")'],
    ['a.rb', "ENV.fetch('DB_URL')"],
    ['A.java', 'System.getenv("DB_URL")'],
    ['s/schema.prisma', 'url = env("DB_URL")'],
  ])
    it(`a connection string under another name is a template: ${source}`, () => {
      expect(envOf(source ?? '', file).env).to.deep.equal({ DB_URL: { value: '${database.url}', from: file } });
    });

  it('host, name, user and password one by one, all on one line, and how to trust the server', () => {
    const { env = {} } = envOf(
      'a(process.env.PGHOST, process.env.PGUSER, process.env.PGPASSWORD, process.env.PGDATABASE)',
    );
    expect(Object.fromEntries(Object.entries(env).map(([name, { value }]) => [name, value]))).to.deep.equal({
      PGHOST: '${database.host}',
      PGUSER: '${database.user}',
      PGPASSWORD: '${database.password}',
      PGDATABASE: '${database.name}',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: '${database.caFile}',
    });
  });

  it('a secret without a value in its absence is one; with one it is not needed', () => {
    expect(envOf('process.env.JWT_SECRET').secrets).to.deep.equal({
      'jwt-secret': { value: 'JWT_SECRET', from: 'a.js' },
    });
    for (const source of ["process.env.JWT_SECRET || 'dev'", "process.env.JWT_SECRET ?? 'dev'"])
      expect(envOf(source).secrets).to.deep.equal({});
    expect(envOf("os.environ.get('JWT_SECRET', 'dev')", 'a.py').secrets).to.deep.equal({});
  });

  it('what .env.example gives, and a TODO for what it leaves empty', () => {
    const example = { '.env.example': 'CURRENCY="EUR"\nSHOP_URL=\n' };
    const { env = {} } = envOf('process.env.CURRENCY; process.env.SHOP_URL', 'a.js', example);
    expect(env['CURRENCY']).to.deep.equal({ value: 'EUR', from: '.env.example' });
    expect(env['SHOP_URL']?.value).to.equal('TODO: give SHOP_URL, which a.js reads and .env.example leaves empty');
  });

  it('a port under another name', () => {
    expect(envOf('listen(process.env.APP_PORT)').env).to.deep.equal({ APP_PORT: { value: '${port}', from: 'a.js' } });
    expect(envOf('listen(process.env.PORT || process.env.APP_PORT)').env).to.deep.equal({});
  });

  it('tests and examples are not the application', () => {
    expect(envOf('process.env.API_TOKEN', 'test/a.js').secrets).to.deep.equal({});
  });
});

describe('health paths, versions and small readings', () => {
  const paths = (files: Record<string, string>) => health(folderOf(files)).health?.map(({ value }) => value);

  it('routes of the source, files of Next and Nuxt', () => {
    expect(paths({ 'a.js': "app.get('/health', x); app.get('/users', y)" })).to.deep.equal(['/health']);
    expect(paths({ 'a.go': 'mux.HandleFunc("/readyz", x); mux.HandleFunc("/healthz", y)' })).to.deep.equal([
      '/healthz',
      '/readyz',
    ]);
    expect(paths({ 'A.java': '@GetMapping("/status")' })).to.deep.equal(['/status']);
    expect(paths({ 'app/api/health/route.ts': '' })).to.deep.equal(['/api/health']);
    expect(paths({ 'pages/api/healthz.ts': '' })).to.deep.equal(['/api/healthz']);
    expect(paths({ 'server/api/health.get.ts': '' })).to.deep.equal(['/api/health']);
    expect(paths({ 'a.js': "const status = 'ready'; log('up')" })).to.deep.equal([]);
  });

  it('the version of the newest tag, and the older one before it', () => {
    const folder = folderOf({}, ['v1.2.3', 'v1.2.3-rc.1', 'v1.1.0', 'nightly']);
    expect(versions(folder).version).to.deep.equal({ value: '1.2.3', from: 'git tag v1.2.3' });
    expect(olderTag(folder, '1.2.3')).to.deep.equal({ tag: 'v1.1.0', version: '1.1.0', ref: 'v${version}' });
    // The version has no tag: it could not be taken from the same form of refs.
    expect(olderTag(folder, '1.3.0')).to.equal(undefined);
    expect(olderTag(folder, '1.1.0')).to.equal(undefined);
    expect(versions(folderOf({})).version?.value).to.equal('0.1.0');
  });

  it('names and versions as the definition takes them', () => {
    expect(asName('@acme/My_Shop 2')).to.equal('my-shop-2');
    expect(asName('123')).to.equal('');
    expect(asName('a'.repeat(50))).to.have.lengthOf(31);
    expect([asVersion('v2.1'), asVersion('release-3.0.1'), asVersion('1.0.0-rc.1'), asVersion('main')]).to.deep.equal([
      '2.1.0',
      '3.0.1',
      '1.0.0-rc.1',
      undefined,
    ]);
  });

  it('a command line is split where it needs no shell', () => {
    expect(argvOf('node  a.js --x')).to.deep.equal(['node', 'a.js', '--x']);
    expect(argvOf('a && b')).to.deep.equal(['sh', '-c', 'a && b']);
    expect(argvOf('echo "$X"')).to.deep.equal(['sh', '-c', 'exec echo "$X"']);
  });
});
