import { tmpdir } from 'node:os';
import { expect } from 'chai';
import { containerPath, startContainer } from '../../emulated-account/containers.ts';

describe('containers of the emulated account', () => {
  it('end with this process, however many they are, by one listener', async () => {
    const before = process.listenerCount('exit');
    const run = () =>
      startContainer({
        argv: ['sleep', '60'],
        directory: tmpdir(),
        env: { PATH: containerPath },
        line: () => undefined,
      });
    const containers = Array.from({ length: 12 }, run);
    const added = process.listenerCount('exit') - before;
    for (const container of containers) container.stop(0);
    await Promise.all(containers.map(({ ended }) => ended));
    expect(added).to.equal(0);
  });
});
