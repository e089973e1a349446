import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { describeOrigin, type Origin, recordOrigin } from '../../../../automation/toolchain/origin.mjs';

describe('which way a tool came', () => {
  let directory: string;
  const toolsDirectory = () => join(directory, 'tools');

  beforeEach(async () => {
    directory = await realpath(await mkdtemp(join(tmpdir(), 'greenlight-origin-')));
    await mkdir(join(toolsDirectory(), 'bin'), { recursive: true });
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  /** A program in a folder of ours, found by its link. */
  async function ours(origin?: Origin): Promise<string> {
    const folder = join(toolsDirectory(), 'k6-1.8.1');
    await mkdir(folder);
    await writeFile(join(folder, 'k6'), '');
    if (origin !== undefined) recordOrigin(folder, origin);
    const link = join(toolsDirectory(), 'bin', 'k6');
    await symlink('../k6-1.8.1/k6', link);
    return describeOrigin(link, toolsDirectory());
  }
  const github = { from: 'github.com', publisher: 'github.com' };

  const recorded: [Origin, string][] = [
    [{ way: 'pinned', ...github }, 'official binary from github.com, pinned digest'],
    [{ way: 'checksums', ...github }, "official binary from github.com, publisher's checksums"],
    [{ way: 'pinned', ...github, from: 'mirror.test' }, 'official binary from a mirror, mirror.test, pinned digest'],
    // Whoever serves both could have changed both.
    [{ way: 'checksums', ...github, from: 'mirror.test' }, 'binary and checksums from a mirror, mirror.test'],
    [{ way: 'go' }, 'built by Go'],
    [{ way: 'pypi' }, 'PyPI, pinned versions'],
  ];
  for (const [origin, words] of recorded) {
    it(`is recorded beside it: ${words}`, async () => {
      expect(await ours(origin)).to.equal(words);
    });
  }

  it('is an earlier set-up where nothing was recorded', async () => {
    expect(await ours()).to.equal('an earlier set-up');
  });

  it('is PATH, or GREENLIGHT_TOOLS, for what this project did not install', async () => {
    const path = join(directory, 'k6');
    await writeFile(path, '');
    expect(await describeOrigin(path, toolsDirectory())).to.equal('found on PATH');
    process.env['GREENLIGHT_TOOLS'] = directory;
    try {
      expect(await describeOrigin(path, toolsDirectory())).to.equal('GREENLIGHT_TOOLS');
    } finally {
      delete process.env['GREENLIGHT_TOOLS'];
    }
  });
});
