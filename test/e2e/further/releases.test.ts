import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CommandLine, goesOnAfterKill, rollsBackInTheBakeTime } from '../command-line.ts';

/** What may happen to releases after the first one: each is a whole one, so that `npm run test:e2e:all` alone runs them. */
describe('further releases from the command line', function () {
  this.timeout(900_000);
  // The steps build on each other: after one that failed, neither it nor the next ones could tell anything.
  this.bail(true);

  const home = mkdtempSync(join(tmpdir(), 'greenlight-e2e-'));
  const cli = new CommandLine(home, 'test/e2e/quick.config.ts');
  const run = (...args: string[]) => cli.run(...args);

  before(async () => {
    const { code, output } = await run('release');
    expect(code, output).to.equal(0);
  });
  after(async () => {
    await cli.end();
    const { code, output } = await run('destroy', '--all', '--yes');
    // Where that failed its files are all that says what still runs.
    expect(code, output).to.equal(0);
    rmSync(home, { recursive: true, force: true });
  });

  it('rolls back in the bake time when asked from another terminal, with every write', () =>
    rollsBackInTheBakeTime(cli));

  it('goes on after it was killed in the middle of the canary', () => goesOnAfterKill(cli));

  it('rehearses the whole on staging, and leaves production as it is', async () => {
    const { code, output } = await run('rehearse');
    expect(code, output).to.equal(0);
    const after = (await run('status')).output;
    expect(after).to.match(/blue +2\.0\.0 +live +100 %/);
    expect(after).to.match(/staging[^]*-2\.0\.0, 2\.0\.0: go/);
  });
});
