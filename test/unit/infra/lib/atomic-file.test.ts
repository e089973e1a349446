import fs from 'node:fs';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { createFileSync, move, replaceFile, replaceFileSync } from '../../../../infra/lib/atomic-file.ts';

/** Puts `doubles` in the place of functions of node:fs while `work` runs. */
async function withDoubles<T extends object>(target: T, doubles: Partial<T>, work: () => unknown): Promise<void> {
  const before = Object.fromEntries(Object.keys(doubles).map((name) => [name, target[name as keyof T]]));
  Object.assign(target, doubles);
  syncBuiltinESMExports();
  try {
    await work();
  } finally {
    Object.assign(target, before);
    syncBuiltinESMExports();
  }
}

describe('atomic files', () => {
  let directory: string;
  let file: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-atomic-'));
    file = join(directory, 'one.json');
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const writers = {
    replaceFile: (content: string) => replaceFile(file, content),
    replaceFileSync: async (content: string) => Promise.resolve(replaceFileSync(file, content)),
  };
  for (const [name, write] of Object.entries(writers)) {
    describe(name, () => {
      it("makes a file that is its owner's alone, and replaces it", async () => {
        await write('old');
        await write('new');
        expect(await readFile(file, 'utf8')).to.equal('new');
        expect((await stat(file)).mode & 0o777).to.equal(0o600);
        expect(await readdir(directory)).to.eql(['one.json']);
      });

      it('leaves the old file whole, and no draft, where the new one cannot take its place', async () => {
        await write('old');
        const fault = new Error('the disk is gone');
        const failure = () =>
          write('new').then(
            () => expect.fail('it was written'),
            (error: unknown) => expect(error).to.equal(fault),
          );
        const doubles = {
          renameSync: () => {
            throw fault;
          },
        };
        await withDoubles(fs.promises, { rename: () => Promise.reject(fault) }, () =>
          withDoubles(fs, doubles, failure),
        );
        expect(await readFile(file, 'utf8')).to.equal('old');
        expect(await readdir(directory)).to.eql(['one.json']);
      });

      it('is on disk with its name: first the content, then the name, then the directory', async () => {
        const done: string[] = [];
        const opened = new Map<number, string>();
        const note = (step: string, path: string) => done.push(`${step} ${path === directory ? 'directory' : 'file'}`);
        const { open, rename } = fs.promises;
        const { openSync, fsyncSync, renameSync } = fs;
        const promises = {
          open: async (path: string, ...rest: [string]) => {
            const handle = await open(path, ...rest);
            const sync = handle.sync.bind(handle);
            handle.sync = () => (note('flush', path), sync());
            return handle;
          },
          rename: (from: string, to: string) => (note('rename', to), rename(from, to)),
        } as unknown as typeof fs.promises;
        const sync = {
          openSync: (path: string, ...rest: [string]) => {
            const fd = openSync(path, ...rest);
            opened.set(fd, path);
            return fd;
          },
          fsyncSync: (fd: number) => (note('flush', opened.get(fd) ?? ''), fsyncSync(fd)),
          renameSync: (from: string, to: string) => (note('rename', to), renameSync(from, to)),
        } as Partial<typeof fs>;
        await withDoubles(fs.promises, promises, () => withDoubles(fs, sync, () => write('new')));
        expect(done).to.eql(['flush file', 'rename file', 'flush directory']);
      });
    });
  }

  it('are made once by `createFileSync`: what is there stays', async () => {
    expect(createFileSync(file, 'first')).to.equal(true);
    expect(createFileSync(file, 'second')).to.equal(false);
    expect(await readFile(file, 'utf8')).to.equal('first');
    expect((await stat(file)).mode & 0o777).to.equal(0o600);
    expect(await readdir(directory)).to.eql(['one.json']);
  });

  it('are moved with what they hold', async () => {
    await writeFile(file, 'x');
    await chmod(file, 0o640);
    await move(file, join(directory, 'two.json'));
    expect(await readdir(directory)).to.eql(['two.json']);
    expect((await stat(join(directory, 'two.json'))).mode & 0o777).to.equal(0o640);
  });
});
