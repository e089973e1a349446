import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { withLock } from '../../../../automation/toolchain/lock.mjs';
import { build, builds, type CopiedProject, copyProject, goThatBuilds } from './project.ts';

describe('the set-up', () => {
  let project: CopiedProject;

  beforeEach(async () => {
    project = await copyProject();
  });
  afterEach(() => project.remove());

  /** No binary is published for any platform. */
  const byGo = { kind: 'archive', from: 'https://example.invalid/', files: {}, build };
  const go = (script: string) => project.program(join(project.bin, 'go'), script);

  it('installs what is missing, and does nothing the second time', async () => {
    await project.onlyTool(byGo);
    await go(goThatBuilds);
    const first = await project.run('release');
    expect(first.text).to.match(/k6 +1\.8\.1 built by Go: done in \d+ s/);
    expect(first.code).to.equal(0);
    expect(await project.tools()).to.have.members(['bin', 'k6-1.8.1', 'setup.json']);
    expect(await project.run('release')).to.deep.equal({ code: 0, text: '' });
    expect(await builds(project.root)).to.equal('built\n');
  });

  it('says of each tool when it begins and when it is done, in a log', async () => {
    await project.onlyTool(byGo);
    await go(goThatBuilds);
    const { text } = await project.run('release');
    expect(text.split('\n').filter((line) => line.startsWith('  k6 '))).to.have.length(2);
    expect(text).not.to.include('\r');
  });

  it('installs again what was deleted', async () => {
    await project.onlyTool(byGo);
    await go(goThatBuilds);
    await project.run('release');
    await rm(join(project.root, '.greenlight/tools/k6-1.8.1'), { recursive: true });
    expect((await project.run('release')).code).to.equal(0);
    expect(existsSync(join(project.root, '.greenlight/tools/bin/k6'))).to.equal(true);
  });

  it('takes a tool on PATH in a wanted version, and builds nothing', async () => {
    await project.onlyTool(byGo);
    await project.program(join(project.bin, 'k6'), 'echo k6 v1.9.0');
    expect((await project.run('release')).code).to.equal(0);
    expect(await project.tools()).to.have.members(['bin', 'setup.json']);
  });

  it('does not take one that is too old', async () => {
    await project.onlyTool(byGo);
    await project.program(join(project.bin, 'k6'), 'echo k6 v0.40.0');
    const { code, text } = await project.run('release');
    expect(code).to.equal(1);
    expect(text)
      .to.include('no binary is published for')
      .and.to.include('Go 1.26 or newer')
      .and.to.include('By hand: see its page')
      .and.to.include('nothing was changed');
  });

  it('leaves nothing behind of what failed, and shows the end of its log', async () => {
    await project.onlyTool(byGo);
    await go('echo half > "$GOBIN/k6"; echo no route to host; exit 3');
    const { code, text } = await project.run('release');
    expect(code).to.equal(1);
    expect(text)
      .to.include('failed with exit code 3')
      .and.to.include('no route to host')
      .and.to.include('setup-k6.log');
    expect(text).not.to.match(/\n\s+at .*\.mjs/);
    expect(await project.tools()).to.deep.equal(['bin']);
    expect(await readdir(join(project.root, '.greenlight/tools/bin'))).to.deep.equal([]);
  });

  it('never downloads with GREENLIGHT_OFFLINE=1', async () => {
    await project.onlyTool(byGo);
    await go(goThatBuilds);
    const { code, text } = await project.run('release', { GREENLIGHT_OFFLINE: '1' });
    expect(code).to.equal(1);
    expect(text).to.include('GREENLIGHT_OFFLINE=1 forbids downloads. Missing: k6 >= 1.8.1');
    expect(await builds(project.root)).to.equal('');
  });

  it('goes on without an optional tool, in one line', async () => {
    const files = { any: { name: 'zap.tar.gz', sha256: 'a'.repeat(64), program: 'x/k6' } };
    await project.onlyTool({ kind: 'archive', from: 'http://127.0.0.1:9/', files }, { optional: true });
    const { code, text } = await project.run('release');
    expect(code).to.equal(0);
    expect(text).to.match(
      /k6 +left out: downloading http:\/\/127\.0\.0\.1:9\/zap\.tar\.gz: .*\. Optional: load tests\n/,
    );
  });

  it('does not ask for an optional tool whose needs are not there', async () => {
    const files = { any: { name: 'zap.tar.gz', sha256: 'a'.repeat(64), program: 'x/k6' } };
    const rest = { optional: true, needs: 'no-such-program' };
    await project.onlyTool({ kind: 'archive', from: 'http://127.0.0.1:9/', files }, rest);
    const { code, text } = await project.run('release');
    expect(code).to.equal(0);
    expect(text).to.match(/k6 +left out: it needs no-such-program/);
  });

  it('lists the commands for system packages where it may not install them', async () => {
    await project.onlyTool({ kind: 'system', debian: 'k6-package', homebrew: 'k6' });
    const { code, text } = await project.run('release');
    expect(code).to.equal(1);
    // There is no apt-get on this PATH.
    expect(text).to.include('brew install k6').and.to.include('nothing was changed');
  });

  it('knows its profiles', async () => {
    const { code, text } = await project.run('relase');
    expect(code).to.equal(1);
    expect(text).to.include('no profile "relase"').and.to.include('release');
  });

  it('runs once when started twice at the same time', async () => {
    await project.onlyTool(byGo);
    await go(`/bin/sleep 1; ${goThatBuilds}`);
    const both = await Promise.all([project.run('release'), project.run('release')]);
    expect(both.map(({ code }) => code)).to.deep.equal([0, 0]);
    expect(await builds(project.root)).to.equal('built\n');
    expect(both.some(({ text }) => text.includes('Another set-up is running'))).to.equal(true);
    expect(existsSync(join(project.root, '.greenlight', 'setup.lock'))).to.equal(false);
  });

  it('of a package installs once for all projects of the user, also when two of them begin together', async () => {
    const both = await Promise.all([copyProject('dist'), copyProject('dist')]);
    try {
      const [first, second] = both;
      // Two packages as one: the same pinned tools, the same user.
      const shared = { HOME: project.root, PATH: first.bin };
      for (const one of both) await one.onlyTool(byGo);
      await first.program(join(first.bin, 'go'), `/bin/sleep 1; ${goThatBuilds}`);
      const ended = await Promise.all([first.run('release', shared), second.run('release', shared)]);
      expect(ended.map(({ code, text }) => (code === 0 ? '' : text))).to.deep.equal(['', '']);
      expect(await builds(project.root)).to.equal('built\n');
      const [pinned, ...others] = await readdir(join(project.root, '.cache/greenlight'));
      expect(others).to.deep.equal([]);
      const tools = await readdir(join(project.root, '.cache/greenlight', pinned ?? '', 'tools'));
      expect(tools).to.have.members(['bin', 'k6-1.8.1', 'setup.json']);
      for (const { root } of both) expect(existsSync(join(root, '.greenlight'))).to.equal(false);
    } finally {
      for (const one of both) await one.remove();
    }
  });

  it('takes over the lock of a process that was killed, and what it left half-made', async () => {
    await project.onlyTool(byGo);
    await go(goThatBuilds);
    const dead = spawn(process.execPath, ['-e', '']);
    await new Promise((resolve) => dead.once('exit', resolve));
    await project.write(join(project.root, '.greenlight/setup.lock'), String(dead.pid));
    await project.write(join(project.root, '.greenlight/tools/.tmp-abc/k6'), 'half');
    expect((await project.run('release')).code).to.equal(0);
    expect(await project.tools()).to.have.members(['bin', 'k6-1.8.1', 'setup.json']);
  });

  it('holds its lock while it works, and gives it back when the work fails', async () => {
    const path = join(project.root, 'some.lock');
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
