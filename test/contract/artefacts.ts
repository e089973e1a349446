import { expect } from 'chai';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Artefacts } from '../../infra/platform/artefacts.ts';
import { refusal } from './databases.ts';

/** What every platform's artefacts must do. `open` gives an empty store. */
export function artefactsContract(
  platform: string,
  open: () => Promise<{ artefacts: Artefacts; close: () => Promise<void> }>,
): void {
  describe(`artefacts of platform ${platform}`, () => {
    let artefacts: Artefacts;
    let close: () => Promise<void>;
    let folder: string;
    before(async () => {
      ({ artefacts, close } = await open());
      folder = await mkdtemp(join(tmpdir(), 'greenlight-build-'));
    });
    after(async () => {
      await rm(folder, { recursive: true, force: true });
      await close();
    });

    const build = async (name: string, files: Record<string, string>): Promise<string> => {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(join(folder, name, path, '..'), { recursive: true });
        await writeFile(join(folder, name, path), text);
      }
      return join(folder, name);
    };

    it('give the same content the same digest, in whatever order it was written', async () => {
      const one = await artefacts.publish(await build('one', { 'a.js': '1', 'lib/b.js': '2' }), '1.0.0');
      const two = await artefacts.publish(await build('two', { 'lib/b.js': '2', 'a.js': '1' }), '1.0.0');
      expect(one.digest).to.match(/^sha256:[0-9a-f]{64}$/);
      expect(two).to.deep.equal(one);
    });

    it('give other content, another name, another place or another mode another digest', async () => {
      const builds = [
        await build('base', { 'a.js': '1' }),
        await build('content', { 'a.js': '2' }),
        await build('name', { 'b.js': '1' }),
        await build('place', { 'lib/a.js': '1' }),
        await build('split', { 'a.js': '1', 'b.js': '' }),
        await build('mode', { 'a.js': '1' }),
      ];
      await chmod(join(builds[5] ?? '', 'a.js'), 0o755);
      const digests = [];
      for (const directory of builds) digests.push((await artefacts.publish(directory, '1.0.0')).digest);
      expect(new Set(digests).size).to.equal(builds.length);
    });

    it('are found again by their digest, and only by theirs', async () => {
      const artefact = await artefacts.publish(await build('found', { 'a.js': 'found' }), '3.0.0-rc.1');
      expect(await artefacts.find(artefact.digest)).to.deep.equal(artefact);
      expect(await artefacts.find(`sha256:${'0'.repeat(64)}`)).to.equal(undefined);
      expect(await artefacts.find('../../etc')).to.equal(undefined);
    });

    it('are never empty', async () => {
      await mkdir(join(folder, 'empty/really'), { recursive: true });
      expect(await refusal(artefacts.publish(join(folder, 'empty'), '1.0.0'))).to.contain('it is empty');
    });
  });
}
