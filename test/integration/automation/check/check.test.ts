import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { check } from '../../../../automation/check/check.ts';
import { collect, type CheckLine } from '../../../../automation/check/findings.ts';
import { releaseDefinition, type ReleaseDefinition } from '../../../../automation/config/schema.ts';
import { environmentSpec } from '../../../../automation/release/context/spec.ts';
import { projectRoot } from '../../../../infra/lib/paths.ts';
import { ImageFolder, podman, removeTestImages } from '../../../lib/image.ts';
import { moveHome } from '../../../lib/own-home.ts';
import { openLocalWorkbench } from '../../../../infra/local/workbench.ts';

/** A server that asks the database on every request. `faults`: what it does wrong. */
const server = (faults: { writes?: boolean; stays?: boolean; complains?: boolean }): string => `
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
const pg = createRequire('${join(projectRoot(), 'package.json')}')('pg');
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
pool.on('error', () => undefined);
const server = createServer((request, response) => {
  if (request.url === '/healthz') return response.end('ok');
  pool.query(${faults.writes ? "'INSERT INTO visits DEFAULT VALUES'" : "'SELECT count(*) FROM visits'"}).then(
    () => response.end('<a href="/more">more</a>'),
    () => response.writeHead(500).end(),
  );
}).listen(process.env.PORT, process.env.HOST);
${faults.complains ? "console.log('Error: boom');" : ''}
process.on('SIGTERM', () => ${faults.stays ? 'undefined' : '(server.close(), pool.end())'});
`;

describe('check, on a workbench with a real database', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'greenlight-checked-'));
    mkdirSync(join(folder, 'migrations'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const definitionOf = (more: object = {}): ReleaseDefinition =>
    releaseDefinition.parse({
      application: {
        name: 'shop',
        version: '1.0.0',
        build: { command: ['sh', '-c', `cp -R ${folder}/. "$GREENLIGHT_OUT"`] },
        services: [{ name: 'web', start: ['node', 'server.mjs'], routes: ['/'], database: true, stopSeconds: 1 }],
        migrations: { directory: 'migrations' },
        ...more,
      },
    });

  async function checked(definition: ReleaseDefinition): Promise<readonly CheckLine[]> {
    const found = collect(() => undefined);
    const bench = await openLocalWorkbench(environmentSpec(definition, 'staging'));
    try {
      await check({ definition, bench, found, signal: new AbortController().signal, waiting: () => undefined });
    } finally {
      await bench.close();
    }
    expect(existsSync(bench.directory), 'the workbench is gone').to.equal(false);
    return found.lines;
  }
  const texts = (lines: readonly CheckLine[], level: CheckLine['level']): string[] =>
    lines.filter((line) => line.level === level).map(({ about, says }) => `${about}: ${says}`);

  it('an application without faults: nothing but ok', async () => {
    writeFileSync(join(folder, 'server.mjs'), server({}));
    writeFileSync(join(folder, 'migrations/001.sql'), 'CREATE TABLE visits (id bigserial PRIMARY KEY);');
    const lines = await checked(definitionOf());
    expect(lines.filter(({ level }) => level !== 'ok')).to.deep.equal([]);
    expect(texts(lines, 'ok').join('\n')).to.match(/GET \/more: status 200/);
  });

  it('an application that has only an image: builds it, runs jobs and services in it, and leaves no container', async () => {
    const image = new ImageFolder();
    const homeBack = moveHome(folder);
    const projectBefore = process.env['GREENLIGHT_PROJECT'];
    try {
      process.env['GREENLIGHT_PROJECT'] = image.directory;
      image.write(
        'app/server.mjs',
        `import { createServer } from 'node:http';
        createServer((_, response) => response.end('ok')).listen(process.env.PORT, process.env.HOST);
        process.on('SIGTERM', () => process.exit(0));`,
      );
      image.write('.dockerignore', '.greenlight\n');
      image.dockerfile(['USER 1000:1000', 'CMD ["node", "/app/server.mjs"]']);
      // The command of a migration reaches the database with its certificate's authority, from inside.
      const connects = `const [ca] = [require('fs').readFileSync(process.env.CA, 'utf8')]; process.exit(ca.includes('CERTIFICATE') && require('fs').existsSync('/app/marker.txt') ? 0 : 4)`;
      const service = { name: 'web', image: { dockerfile: 'Dockerfile' }, health: { tcp: true }, routes: ['/'] };
      const lines = await checked(
        definitionOf({
          build: undefined,
          name: 'test-check',
          services: [{ ...service, database: true, stopSeconds: 5 }],
          jobs: { env: { CA: '${database.caFile}' } },
          migrations: { expand: ['node', '-e', connects] },
        }),
      );
      expect(lines.filter(({ level }) => level === 'error')).to.deep.equal([]);
      expect(texts(lines, 'ok').join('\n'))
        .to.match(/GET \/: status 200/)
        .and.match(/end on SIGTERM/);
      const own = `label=greenlight.owner=${process.pid}`;
      expect(podman('ps', '--all', '--format', '{{.Names}}', '--filter', own)).to.equal('');
    } finally {
      if (projectBefore === undefined) delete process.env['GREENLIGHT_PROJECT'];
      else process.env['GREENLIGHT_PROJECT'] = projectBefore;
      homeBack();
      image.close();
      removeTestImages('test-check');
    }
  });

  it('every fault: what a release would refuse, each with its cure', async () => {
    writeFileSync(join(folder, 'server.mjs'), server({ writes: true, stays: true, complains: true }));
    writeFileSync(
      join(folder, 'migrations/001.sql'),
      'CREATE TABLE visits (id bigserial PRIMARY KEY); CREATE TABLE people (email text);',
    );
    const lines = await checked(
      definitionOf({ secrets: { token: { from: 'env', variable: 'GREENLIGHT_TEST_NO_SUCH_SECRET' } } }),
    );
    const errors = texts(lines, 'error').join('\n');
    expect(errors).to.include('application.secrets.token: the variable GREENLIGHT_TEST_NO_SUCH_SECRET is not set');
    expect(errors).to.include('the database: table public.people has no primary key');
    expect(errors).to.match(/public\.people\.email: looks like .* by its name/);
    expect(errors).to.include('application.services[0] (web): it does not end on SIGTERM');
    expect(errors).to.include('GET /: without the right to write it is answered 500');
    const warnings = texts(lines, 'warning').join('\n');
    expect(warnings).to.include('GET /: it wrote to table public.visits');
    expect(warnings).to.include('output of web: Error: boom');
    expect(lines.filter(({ level, cure }) => level === 'error' && cure === undefined)).to.deep.equal([]);
  });

  it('paths that only the live colour answers are not asked without the right to write', async () => {
    writeFileSync(join(folder, 'server.mjs'), server({ writes: true }));
    writeFileSync(join(folder, 'migrations/001.sql'), 'CREATE TABLE visits (id bigserial PRIMARY KEY);');
    expect(texts(await checked(definitionOf({ writes: { paths: ['/'] } })), 'error')).to.deep.equal([]);
  });

  it('a service that never becomes healthy: why, from its output', async () => {
    writeFileSync(join(folder, 'server.mjs'), "throw new Error('no such setting');");
    writeFileSync(join(folder, 'migrations/001.sql'), 'CREATE TABLE visits (id bigserial PRIMARY KEY);');
    expect(texts(await checked(definitionOf()), 'error').join('\n'))
      .to.include('application.services: ')
      .and.to.include('no such setting');
  });

  it('a build that fails ends it', async () => {
    const lines = await checked(definitionOf({ build: { command: ['sh', '-c', 'echo no rule; exit 3'] } }));
    expect(texts(lines, 'error').join('\n')).to.include('application.build: building 1.0.0').and.to.include('no rule');
    expect(texts(lines, 'ok')).to.deep.equal([]);
  });
});
