import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { withLock } from '../../../../automation/toolchain/lock.mjs';
import { projectRoot } from '../../../../infra/lib/paths.ts';

/** The set-up finds its project from where it lies, so it is tried in a copy, with programs that only tell a version. */
describe('the set-up', () => {
  let root: string;
  let bin: string;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'greenlight-setup-'));
    bin = join(root, 'path');
    for (const part of ['automation/toolchain', 'infra/lib/search.mjs']) {
      await mkdir(dirname(join(root, part)), { recursive: true });
      await cp(join(projectRoot, part), join(root, part), { recursive: true });
    }
    await write(join(root, 'package-lock.json'), JSON.stringify({ packages: { '': {} } }));
    await write(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages: {} }));
    await program(join(root, 'node_modules/.bin/node'), '');
    await mkdir(bin);
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  async function write(path: string, text: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }
  async function program(path: string, script: string): Promise<void> {
    await write(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
  }

  const setup = join('automation', 'toolchain', 'setup.mjs');
  const run = (profile: string, env: Record<string, string> = {}) =>
    new Promise<{ code: number; text: string }>((resolve) => {
      const options = { cwd: root, env: { PATH: bin, HOME: root, ...env } };
      execFile(process.execPath, [join(root, setup), profile], options, (error, _stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), text: stderr });
      });
    });

  /** A list of one tool that the project installs by a Go program, which here is a script. */
  async function onlyTool(source: object): Promise<void> {
    const path = join(root, 'automation/toolchain/tools.json');
    const tool = {
      name: 'k6',
      use: 'load tests',
      programs: ['k6'],
      profiles: ['release'],
      wanted: { min: '1.8.1' },
      version: ['version'],
      source,
      byHand: 'see its page',
    };
    await writeFile(path, JSON.stringify({ tools: [tool] }));
  }
  const byGo = { kind: 'go-install', package: 'go.example.invalid/k6', version: '1.8.1' };
  const goThatBuilds =
    'printf "#!/bin/sh\\necho k6 v1.8.1\\n" > "$GOBIN/k6"; /bin/chmod 755 "$GOBIN/k6"; echo built >> "$HOME/builds"';
  const tools = () => readdir(join(root, '.greenlight', 'tools'));

  it('installs what is missing, and does nothing the second time', async () => {
    await onlyTool(byGo);
    await program(join(bin, 'go'), goThatBuilds);
    const first = await run('release');
    expect(first.text).to.match(/k6 +1\.8\.1 from Go modules: done in \d+ s/);
    expect(first.code).to.equal(0);
    expect(await tools()).to.have.members(['bin', 'k6-1.8.1', 'setup.json']);
    expect(await run('release')).to.deep.equal({ code: 0, text: '' });
    expect(await readFile(join(root, 'builds'), 'utf8')).to.equal('built\n');
  });

  it('installs again what was deleted', async () => {
    await onlyTool(byGo);
    await program(join(bin, 'go'), goThatBuilds);
    await run('release');
    await rm(join(root, '.greenlight/tools/k6-1.8.1'), { recursive: true });
    expect((await run('release')).code).to.equal(0);
    expect(existsSync(join(root, '.greenlight/tools/bin/k6'))).to.equal(true);
  });

  it('takes a tool on PATH in a wanted version, and builds nothing', async () => {
    await onlyTool(byGo);
    await program(join(bin, 'k6'), 'echo k6 v1.9.0');
    expect((await run('release')).code).to.equal(0);
    expect(await tools()).to.have.members(['bin', 'setup.json']);
  });

  it('does not take one that is too old', async () => {
    await onlyTool(byGo);
    await program(join(bin, 'k6'), 'echo k6 v0.40.0');
    const { code, text } = await run('release');
    expect(code).to.equal(1);
    expect(text)
      .to.include('Go 1.26 or newer')
      .and.to.include('k6: see its page')
      .and.to.include('nothing was changed');
  });

  it('leaves nothing behind of what failed, and shows the end of its log', async () => {
    await onlyTool(byGo);
    await program(join(bin, 'go'), 'echo half > "$GOBIN/k6"; echo no route to host; exit 3');
    const { code, text } = await run('release');
    expect(code).to.equal(1);
    expect(text)
      .to.include('failed with exit code 3')
      .and.to.include('no route to host')
      .and.to.include('setup-k6.log');
    expect(text).not.to.match(/\n\s+at .*\.mjs/);
    expect(await tools()).to.deep.equal(['bin']);
    expect(await readdir(join(root, '.greenlight/tools/bin'))).to.deep.equal([]);
  });

  it('never downloads with GREENLIGHT_OFFLINE=1', async () => {
    await onlyTool(byGo);
    await program(join(bin, 'go'), goThatBuilds);
    const { code, text } = await run('release', { GREENLIGHT_OFFLINE: '1' });
    expect(code).to.equal(1);
    expect(text).to.include('GREENLIGHT_OFFLINE=1 forbids downloads. Missing: k6 >= 1.8.1');
    expect(existsSync(join(root, 'builds'))).to.equal(false);
  });

  it('goes on without an optional tool, in one line', async () => {
    const url = 'http://127.0.0.1:9/zap.tar.gz';
    await onlyTool({ kind: 'archive', version: '1.8.1', url, bytes: 5, sha256: 'a'.repeat(64), program: 'x/k6' });
    const path = join(root, 'automation/toolchain/tools.json');
    await writeFile(path, (await readFile(path, 'utf8')).replace('"name"', '"optional":true,"name"'));
    const { code, text } = await run('release');
    expect(code).to.equal(0);
    expect(text).to.match(/k6 +left out: downloading http:\/\/127\.0\.0\.1:9\/zap\.tar\.gz: /);
  });

  it('lists the commands for system packages where it may not install them', async () => {
    await onlyTool({ kind: 'system', debian: 'k6-package', homebrew: 'k6' });
    const { code, text } = await run('release');
    expect(code).to.equal(1);
    // There is no apt-get on this PATH.
    expect(text).to.include('brew install k6').and.to.include('nothing was changed');
  });

  it('knows its profiles', async () => {
    const { code, text } = await run('relase');
    expect(code).to.equal(1);
    expect(text).to.include('no profile "relase"').and.to.include('release');
  });

  it('runs once when started twice at the same time', async () => {
    await onlyTool(byGo);
    await program(join(bin, 'go'), `/bin/sleep 1; ${goThatBuilds}`);
    const both = await Promise.all([run('release'), run('release')]);
    expect(both.map(({ code }) => code)).to.deep.equal([0, 0]);
    expect(await readFile(join(root, 'builds'), 'utf8')).to.equal('built\n');
    expect(both.some(({ text }) => text.includes('Another set-up is running'))).to.equal(true);
    expect(existsSync(join(root, '.greenlight', 'setup.lock'))).to.equal(false);
  });

  it('takes over the lock of a process that was killed, and what it left half-made', async () => {
    await onlyTool(byGo);
    await program(join(bin, 'go'), goThatBuilds);
    const dead = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => dead.once('exit', resolve));
    await write(join(root, '.greenlight/setup.lock'), String(dead.pid));
    await write(join(root, '.greenlight/tools/.tmp-abc/k6'), 'half');
    expect((await run('release')).code).to.equal(0);
    expect(await tools()).to.have.members(['bin', 'k6-1.8.1', 'setup.json']);
  });

  it('holds its lock while it works, and gives it back when the work fails', async () => {
    const path = join(root, 'some.lock');
    await withLock(
      path,
      () => undefined,
      () => Promise.reject(new Error('work failed')),
    ).catch((error: Error) => {
      expect(error.message).to.equal('work failed');
    });
    expect(existsSync(path)).to.equal(false);
    const seen = await withLock(
      path,
      () => undefined,
      () => readFile(path, 'utf8'),
    );
    expect(seen).to.equal(String(process.pid));
  });
});
