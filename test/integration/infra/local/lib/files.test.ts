import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { copyFiles, hashDirectory, makeFiles } from '../../../../../infra/local/lib/files.ts';
import { Layout } from '../../../../../infra/local/lib/layout.ts';

describe('files that outlive a release', () => {
  let layout: Layout;
  const files = [{ name: 'uploads', maxMegabytes: 1 }];
  beforeEach(async () => {
    layout = new Layout('production', mkdtempSync(join(tmpdir(), 'greenlight-files-')));
    await makeFiles(layout, { files, services: [] });
  });
  afterEach(() => rmSync(layout.directory, { recursive: true }));

  const inside = (...path: string[]) => join(layout.files('uploads'), ...path);

  it('are copied with all that they are, and have the checksums of what was read', async () => {
    mkdirSync(inside('a', 'b'), { recursive: true });
    writeFileSync(inside('a', 'b', 'one'), 'eins', { mode: 0o640 });
    writeFileSync(inside("it's ünï"), '');
    symlinkSync('a/b/one', inside('link'));
    const to = join(layout.directory, 'copy');
    const copied = await copyFiles(layout, files, to);
    expect(copied).to.include({ count: 3, bytes: 4 });
    expect(copied.sha256).to.deep.equal(await hashDirectory(to));
    expect(readFileSync(join(to, 'uploads/a/b/one'), 'utf8')).to.equal('eins');
    expect(statSync(join(to, 'uploads/a/b/one')).mode & 0o777).to.equal(0o640);
    expect(readlinkSync(join(to, 'uploads/link'))).to.equal('a/b/one');
    // A copy and not a link to what is changed in place.
    writeFileSync(inside('a', 'b', 'one'), 'zwei');
    expect(readFileSync(join(to, 'uploads/a/b/one'), 'utf8')).to.equal('eins');
  });

  it('that were never made are none', async () => {
    const none = [{ name: 'never', maxMegabytes: 1 }];
    expect((await copyFiles(layout, none, join(layout.directory, 'copy'))).count).to.equal(0);
  });

  it('are refused where they are more than they may be, with their size', async () => {
    writeFileSync(inside('large'), Buffer.alloc(1_500_000));
    const refused = await copyFiles(layout, files, join(layout.directory, 'copy')).catch(
      (error: Error) => error.message,
    );
    expect(refused).to.contain('holds 2 MB, and application.files allows 1 MB');
  });

  it('that change while they are copied are copied whole, or refused by name', async () => {
    writeFileSync(inside('log'), 'x'.repeat(400_000));
    let end = false;
    const changing = (async () => {
      for (let size = 0; !end; size += 1) {
        writeFileSync(inside('log'), `${size}`.padEnd(400_000, 'y'));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const result = await copyFiles(layout, files, join(layout.directory, 'copy')).catch((error: Error) => error);
    end = true;
    await changing;
    if (result instanceof Error) expect(result.message).to.contain(`${inside('log')} changes all the time`);
    else expect(readFileSync(join(layout.directory, 'copy/uploads/log'), 'utf8')).to.match(/^\d+y+$/);
  });
});
