import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { expect } from 'chai';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import { packageRoot } from '../../../../../infra/lib/paths.ts';
import { copyFolder, type FolderBuild } from '../../../../../automation/release/steps/copy-folder.ts';

describe('a version that is a folder', () => {
  let source: string;
  let out: string;
  const write = (path: string, content = path): void => {
    mkdirSync(dirname(join(source, path)), { recursive: true });
    writeFileSync(join(source, path), content);
  };
  const git = (...args: string[]): Buffer =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.org', ...args], { cwd: source });
  const copy = (build: Partial<FolderBuild> = {}, version = '2.0.0'): Promise<void> =>
    copyFolder(
      { directory: relative(packageRoot, source), include: [], exclude: [], timeoutSeconds: 60, ...build },
      version,
      out,
      new AbortController().signal,
    );
  const copied = (): string[] =>
    readdirSync(out, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => relative(out, join(entry.parentPath, entry.name)))
      .sort();

  beforeEach(() => {
    [source, out] = ['source', 'out'].map((name) => mkdtempSync(join(tmpdir(), `greenlight-folder-${name}-`))) as [
      string,
      string,
    ];
    for (const path of [
      'server.js',
      'lib/a.js',
      '.env',
      'node_modules/x/i.js',
      'node_modules/.cache/y',
      '.greenlight/z',
    ])
      write(path);
  });
  afterEach(() => [source, out].forEach((path) => rmSync(path, { recursive: true, force: true })));

  it('is everything but caches where there is no git', async () => {
    symlinkSync('lib/a.js', join(source, 'link.js'));
    await copy({ exclude: ['.env'] });
    expect(copied()).to.deep.equal(['lib/a.js', 'link.js', 'node_modules/x/i.js', 'server.js']);
  });

  describe('in a git repository', () => {
    beforeEach(() => {
      write('.gitignore', 'node_modules\n.env\n');
      git('init', '-q');
      git('add', '.');
      git('commit', '-q', '-m', 'one');
      git('tag', 'v1.0.0');
      write('server.js', 'changed');
      write('new.js');
      unlinkSync(join(source, 'lib/a.js'));
    });

    it('is what git knows or does not ignore, as it is now, and what is included', async () => {
      await copy({ include: ['node_modules'] });
      expect(copied()).to.deep.equal(['.gitignore', 'new.js', 'node_modules/x/i.js', 'server.js']);
      expect(readFileSync(join(out, 'server.js'), 'utf8')).to.equal('changed');
    });

    it('is the files of a ref, which names the version', async () => {
      await copy({ ref: 'v${version}', exclude: ['.gitignore'] }, '1.0.0');
      expect(copied())
        .to.contain.members(['lib/a.js', 'server.js'])
        .and.not.contain('new.js')
        .and.not.contain('.gitignore');
      expect(readFileSync(join(out, 'server.js'), 'utf8')).to.equal('server.js');
    });

    it('says so where there is no such ref', async () => {
      const error: unknown = await copy({ ref: 'v${version}' }, '9.9.9').catch((reason: unknown) => reason);
      expect(error).to.be.instanceOf(OperationError);
      expect((error as OperationError).found).to.equal('git cannot give v9.9.9: not a valid object name: v9.9.9');
    });
  });

  it('says which folder or which included path there is not', async () => {
    const found = (build: Partial<FolderBuild>) =>
      copy(build).then(
        () => '',
        (error: OperationError) => error.found,
      );
    expect(await found({ directory: 'no/such/folder' })).to.contain('there is no folder');
    expect(await found({ include: ['vendor'] })).to.equal('there is no vendor to include');
  });
});
