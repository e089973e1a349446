import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../../infra/lib/paths.ts';
import { until } from '../../../infra/lib/poll.ts';
import { packInto, Repository } from '../../lib/outside.ts';
import { hello } from '../../e2e/outside/hello.ts';

/** What `npm pack` makes, in a folder that has nothing else: no release, which is test/e2e/outside/. */
describe('the npm package', () => {
  const work = mkdtempSync(join(tmpdir(), 'greenlight-package-'));
  let tarball: string;
  let repository: Repository;
  before(async () => {
    tarball = await packInto(work);
    repository = await Repository.with(tarball, hello('hello\n'));
    await repository.run('git', ['init', '--quiet']);
    await repository.write('.gitignore', 'node_modules');
  });
  after(async () => {
    await repository.remove();
    rmSync(work, { recursive: true, force: true });
  });

  const tsc = async (file: string, options: object = {}) => {
    const compilerOptions = { noEmit: true, strict: true, target: 'es2022', module: 'nodenext', types: [], ...options };
    await repository.write('tsconfig.json', JSON.stringify({ compilerOptions, files: [file] }));
    return repository.run(join(packageRoot, 'node_modules/.bin/tsc'), ['-p', '.']);
  };

  it('is small, and holds what runs: no test, no TypeScript but what k6 runs', async () => {
    expect(statSync(tarball).size).to.be.lessThan(5_000_000);
    const files = await repository.files();
    expect(files).to.include.members([
      'package.json',
      'LICENSE',
      'README.md',
      'bin/greenlight.mjs',
      'dist/index.d.ts',
      'dist/automation/cli.js',
      'dist/automation/toolchain/setup.mjs',
      'dist/automation/toolchain/tools.json',
      'dist/automation/toolchain/wapiti-constraints.txt',
      'dist/automation/toolchain/pulumi/go.mod',
      'dist/infra/local/haproxy/hold.lua',
      'dist/infra/local/provider/pulumi-resource-greenlight',
      'dist/infra/local/provider/main.js',
      'dist/infra/policies/pulumi-analyzer-greenlight',
      'dist/infra/aws/stacks/network/fence/index.mjs',
      'dist/loadtests/k6.json',
      'dist/loadtests/lib/greenlight.ts',
      'dist/securitytests/wapiti-modules.json',
      'docs/runbook.md',
    ]);
    const typed = files.filter((file) => /\.m?ts$/.test(file) && !file.startsWith('dist/loadtests/'));
    expect(typed).to.deep.equal(['dist/index.d.ts']);
    expect(files.filter((file) => /^(dist\/)?(test|examples|node_modules)\/|\.test\./.test(file))).to.deep.equal([]);
    for (const program of ['bin/greenlight.mjs', 'dist/infra/local/provider/pulumi-resource-greenlight'])
      expect(statSync(join(repository.directory, 'node_modules/greenlight', program)).mode & 0o111).to.equal(0o111);
    // Every import of one of its own files leads to one.
    const scripts = files.filter((file) => /\.m?js$/.test(file) && file.startsWith('dist/'));
    const missing = scripts.flatMap((file) => {
      const text = readFileSync(join(repository.directory, 'node_modules/greenlight', file), 'utf8');
      const targets = [...text.matchAll(/^(?:import|export)\b(?:[^;'"]*?\bfrom)?\s*['"](\.[^'"]+)['"];$/gm)].map(
        ([, to]) => to ?? '',
      );
      return targets.filter((to) => !existsSync(join(repository.directory, 'node_modules/greenlight', file, '..', to)));
    });
    expect(scripts.length).to.be.greaterThan(300);
    expect(missing).to.deep.equal([]);
    expect(existsSync(join(packageRoot, 'dist')), 'it leaves nothing in this repository').to.equal(false);
  });

  it('gives a definition its types, with the description of every key, and needs no other package for it', async () => {
    expect((await tsc('greenlight.config.ts')).output).to.equal('');
    const text = readFileSync(join(repository.directory, 'greenlight.config.ts'), 'utf8');
    await repository.write(
      'wrong.config.ts',
      text.replace('instances', 'instance').replace("routes: ['/']", 'routes: 7'),
    );
    const { code, output } = await tsc('wrong.config.ts');
    expect(code).to.equal(2);
    expect(output).to.match(
      /wrong\.config\.ts\(\d+,\d+\): error TS2322: Type 'number' is not assignable to type 'string\[\]'/,
    );
    const declared = readFileSync(join(repository.directory, 'node_modules/greenlight/dist/index.d.ts'), 'utf8');
    expect(declared).to.include('/** length of a step. Default: 20 */\n    stepSeconds?: number;');
    expect(declared).not.to.match(/import|unknown|any;/);
  });

  it('takes exactly what the schema takes', async () => {
    const [schema, types] = [
      join(packageRoot, 'automation/config/schema.ts'),
      join(repository.directory, 'node_modules/greenlight/dist/index.d.ts'),
    ];
    await repository.write(
      'same.ts',
      `import type { ReleaseDefinitionInput as Schema } from ${JSON.stringify(schema)};
import type { ReleaseDefinitionInput as Types } from ${JSON.stringify(types)};
export const there = (value: Schema): Types => value;
export const back = (value: Types): Schema => value;
`,
    );
    const typeRoots = [join(packageRoot, 'node_modules/@types')];
    const also = { allowImportingTsExtensions: true, skipLibCheck: true, lib: ['es2025'], typeRoots, types: ['node'] };
    const { output } = await tsc('same.ts', also);
    expect(output).to.equal('');
  });

  it('has a command that helps, and knows that nothing of it was cloned', async () => {
    const { code, output } = await repository.greenlight('release', '--help');
    expect(code).to.equal(0);
    expect(output).to.include('Usage: greenlight release').and.not.to.include('Setting up');
    const doctor = await repository.greenlight('doctor');
    expect(doctor.output)
      .to.match(/^ok {2}pulumi /m)
      .and.not.to.include('npm run');
    expect(doctor.output).not.to.match(/npm packages|moto/);
  });

  it('plans a release of the folder’s application, from a folder inside it too, and git ignores what it keeps', async () => {
    const { code, output } = await repository.greenlight('release', '--dry-run');
    expect(code, output).to.equal(0);
    expect(output).to.include('First go-live of 1.0.0');
    const ignored = join(repository.directory, '.gitignore');
    expect(output).to.include(`Added .greenlight/ to ${ignored}`);
    expect(readFileSync(ignored, 'utf8')).to.equal('node_modules\n.greenlight/\n');
    const again = await repository.run('npx', ['greenlight', 'release', '--dry-run'], { cwd: 'migrations' });
    expect(again.output).to.include('First go-live of 1.0.0').and.not.to.include('Added');
    expect(existsSync(join(repository.directory, 'migrations/.greenlight'))).to.equal(false);
  });

  it('reads the definition that is named, with its paths, and keeps its state beside it', async () => {
    for (const part of ['greenlight.config.ts', 'journey.js']) await repository.copy(part, join('other', part));
    const { code, output } = await repository.greenlight('status', '--config', 'other/greenlight.config.ts');
    expect(code, output).to.equal(0);
    expect(existsSync(join(repository.directory, 'other/.greenlight'))).to.equal(true);
    await repository.run('rm', ['other/journey.js']);
    const without = await repository.greenlight('status', '--config', 'other/greenlight.config.ts');
    expect(without.output).to.include('found "journey.js", but the project has no such file');
  });

  it('says what is wrong with a definition, without a stack trace, and what to type', async () => {
    await repository.write(
      'bad.config.ts',
      "import { defineRelease } from 'greenlight';\nexport default defineRelease({ approvall: 'auto' });\n",
    );
    const { code, output } = await repository.greenlight('release', '--config', 'bad.config.ts');
    expect(code).to.equal(1);
    expect(output).to.include('reading bad.config.ts').and.to.include('did you mean "approval"');
    expect(output).not.to.match(/\n\s+at /);
    const none = await repository.greenlight('status', '--config', 'none.ts');
    expect(none.output).to.include('"npx greenlight init" writes one');
  });

  it('passes signals on to the program, and ends as it does', async () => {
    const pidFile = join(repository.directory, 'pid');
    await repository.write(
      'slow.config.ts',
      `import { writeFileSync } from 'node:fs';
process.on('SIGINT', () => process.exit(42));
writeFileSync(${JSON.stringify(pidFile)}, String(process.pid));
await new Promise((resolve) => setTimeout(resolve, 60_000));
`,
    );
    const program = join(repository.directory, 'node_modules/.bin/greenlight');
    for (const [signal, ended] of [
      ['SIGINT', [42, null]],
      ['SIGTERM', [null, 'SIGTERM']],
    ] as const) {
      rmSync(pidFile, { force: true });
      // Of a session of its own, so that it has no terminal.
      const child = spawn(program, ['status', '--config', 'slow.config.ts'], {
        cwd: repository.directory,
        env: { PATH: process.env['PATH'], HOME: repository.directory, GREENLIGHT_OFFLINE: '1' },
        detached: true,
        stdio: 'ignore',
      });
      const exit = once(child, 'exit');
      const started = () => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '';
      await until(async () => Promise.resolve(started() || 'it has not begun'), {
        everyMs: 50,
        timeoutMs: 60_000,
        doing: 'starting it',
        todo: '',
      });
      child.kill(signal);
      expect(await exit).to.deep.equal(ended);
      expect(() => process.kill(Number(readFileSync(pidFile, 'utf8')), 0)).to.throw('ESRCH');
    }
  });

  it('says which command to run where npm has not installed its Node.js', async function () {
    if (process.version.startsWith('v24.') && (await repository.run('node', ['--version'])).output.startsWith('v24.'))
      this.skip();
    const alone = await Repository.with(tarball, {});
    try {
      await alone.run('rm', ['node_modules/greenlight/node_modules']);
      const { code, output } = await alone.greenlight('status');
      expect(code).to.equal(1);
      expect(output)
        .to.include('npm rebuild node')
        .and.not.to.match(/\n\s+at /);
    } finally {
      await alone.remove();
    }
  });
});
