import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packagesCurrent } from '../../../../automation/toolchain/packages.mjs';

describe('whether the npm packages are those of the lock file', () => {
  let root: string;
  const locked = {
    '': {},
    'node_modules/a': { version: '1.0.0' },
    'node_modules/b-darwin': { version: '2.0.0', optional: true },
  };

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'greenlight-packages-'));
    await mkdir(join(root, 'node_modules', '.bin'), { recursive: true });
    await writeFile(join(root, 'node_modules', '.bin', 'node'), '');
    await chmod(join(root, 'node_modules', '.bin', 'node'), 0o755);
    await writeFile(join(root, 'package-lock.json'), JSON.stringify({ packages: locked }));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const installed = (packages: unknown) =>
    writeFile(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages }));

  it('is so when npm lists the same versions; packages of other systems may be absent', async () => {
    await installed({ 'node_modules/a': { version: '1.0.0' } });
    expect(packagesCurrent(root)).to.equal(true);
  });

  it('is not so after a change of the lock file', async () => {
    await installed({ 'node_modules/a': { version: '0.9.0' } });
    expect(packagesCurrent(root)).to.equal(false);
  });

  it('is not so when a package is missing, or is there in another version though optional', async () => {
    await installed({});
    expect(packagesCurrent(root)).to.equal(false);
    await installed({ 'node_modules/a': { version: '1.0.0' }, 'node_modules/b-darwin': { version: '1.0.0' } });
    expect(packagesCurrent(root)).to.equal(false);
  });

  it('is not so after an interrupted installation, or without Node', async () => {
    expect(packagesCurrent(root)).to.equal(false);
    await installed({ 'node_modules/a': { version: '1.0.0' } });
    await rm(join(root, 'node_modules', '.bin', 'node'));
    expect(packagesCurrent(root)).to.equal(false);
  });
});
