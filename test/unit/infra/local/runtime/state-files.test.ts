import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { directoryStateFiles } from '../../../../../infra/local/runtime/state-files.ts';
import { stateFilesContract } from '../../../../contract/state-files.ts';

const open = async () => {
  const root = await mkdtemp(join(tmpdir(), 'greenlight-state-'));
  return { root, state: directoryStateFiles(root), close: () => rm(root, { recursive: true }) };
};

stateFilesContract('the file backend', open);

describe('state files of the file backend', () => {
  it("are only the owner's to read, and leave no draft", async () => {
    const { root, state, close } = await open();
    await state.write('.pulumi/stacks/one.json', '{}');
    await state.write('.pulumi/stacks/one.json', '{"a":1}');
    expect(await readdir(join(root, '.pulumi/stacks'))).to.deep.equal(['one.json']);
    expect((await stat(join(root, '.pulumi/stacks/one.json'))).mode & 0o077).to.equal(0);
    await close();
  });
});
