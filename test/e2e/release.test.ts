import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CommandLine, expectFlawless, leaks } from './command-line.ts';

/**
 * The main job, as a user does it: the command line, the sample application, and every real part. The steps build on
 * each other: first go-live and release, what they left, the end. What else may happen to a release is in `further/`.
 */
describe('a release from the command line', function () {
  this.timeout(900_000);
  // The steps build on each other: after one that failed, neither it nor the next ones could tell anything.
  this.bail(true);

  const home = mkdtempSync(join(tmpdir(), 'greenlight-e2e-'));
  const cli = new CommandLine(home, 'test/e2e/quick.config.ts');
  const run = (...args: string[]) => cli.run(...args);

  after(async () => {
    await cli.end();
    const { code, output } = await run('destroy', '--all', '--yes');
    // Where that failed its files are all that says what still runs.
    expect(code, output).to.equal(0);
    rmSync(home, { recursive: true, force: true });
  });

  it('takes the baseline live and then the next version, without a failed request or a lost write', async () => {
    const { code, output } = await run('release');
    expect(code, output).to.equal(0);
    const report = cli.report();
    expectFlawless(report);
    expect(report.hold.maxMs).to.be.greaterThan(0);
    for (const evidence of report.gates.flatMap((gate) => gate.evidence))
      expect(existsSync(join(cli.latest(), evidence)), evidence).to.equal(true);
  });

  it('shows what is live', async () => {
    const { code, output } = await run('status');
    expect(code).to.equal(0);
    expect(output).to.match(/green +2\.0\.0 +live +100 %/);
    expect(output).to.match(/blue +none +idle/);
  });

  it('holds no secret in journal, reports, logs and state', () => {
    const directory = join(home, 'environments', 'production', 'secrets');
    const secrets = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8').trim());
    expect(secrets.length).to.be.greaterThan(3);
    const places = ['environments/production/logs', 'state', 'engine'].map((place) => join(home, place));
    expect(leaks([cli.releases, ...places], secrets)).to.deep.equal([]);
  });
});
