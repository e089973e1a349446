import { expect } from 'chai';
import type { StateFiles } from '../../infra/platform/engine.ts';

/** What the files of every state backend must do. `open` gives an empty backend. */
export function stateFilesContract(
  backend: string,
  open: () => Promise<{ state: StateFiles; close: () => Promise<void> }>,
): void {
  describe(`state files of ${backend}`, () => {
    let state: StateFiles;
    let close: () => Promise<void>;
    before(async () => {
      ({ state, close } = await open());
    });
    after(() => close());

    it('give back what was written, and the later of two writes', async () => {
      const text = '{"äöü": "✓ €", "lines": "a\\nb"}\n';
      await state.write('.pulumi/stacks/p/one.json', 'before');
      await state.write('.pulumi/stacks/p/one.json', text);
      expect(await state.read('.pulumi/stacks/p/one.json')).to.equal(text);
      await state.write('.pulumi/stacks/p/empty.json', '');
      expect(await state.read('.pulumi/stacks/p/empty.json')).to.equal('');
    });

    it('are undefined where there is none', async () => {
      expect(await state.read('.pulumi/stacks/p/none.json')).to.equal(undefined);
      expect(await state.read('.pulumi/nowhere/at/all.json')).to.equal(undefined);
      expect(await state.read('.pulumi/stacks/p/one.json/below')).to.equal(undefined);
    });

    it('are listed with everything below a directory, and nothing beside it', async () => {
      const paths = ['.pulumi/locks/o/p/a/1.json', '.pulumi/locks/o/p/a/deep/2.json', '.pulumi/locks/o/p/ab/3.json'];
      for (const path of paths) await state.write(path, '{}');
      expect(await state.list('.pulumi/locks/o/p/a')).to.deep.equal(paths.slice(0, 2));
      expect(await state.list('.pulumi/locks')).to.deep.equal(paths);
      expect(await state.list('.pulumi/locks/o/q')).to.deep.equal([]);
    });

    it('are listed where they are many', async () => {
      const paths = Array.from({ length: 1100 }, (_, i) => `.pulumi/history/p/s/${String(i).padStart(4, '0')}.json`);
      for (let i = 0; i < paths.length; i += 50)
        await Promise.all(paths.slice(i, i + 50).map((path) => state.write(path, '{}')));
      expect(await state.list('.pulumi/history/p/s')).to.deep.equal(paths);
    });

    it('are gone when they were removed, twice too', async () => {
      await state.write('.pulumi/gone.json', '{}');
      await state.remove('.pulumi/gone.json');
      await state.remove('.pulumi/gone.json');
      expect(await state.read('.pulumi/gone.json')).to.equal(undefined);
      expect(await state.list('.pulumi/stacks')).to.include('.pulumi/stacks/p/one.json');
    });
  });
}
