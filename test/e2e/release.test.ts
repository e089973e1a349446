import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { CommandLine, expectFlawless, leaks } from './command-line.ts';

/**
 * The main job, as a user does it: the command line, the sample application, and every real part. The steps build on
 * each other: first go-live and release, a rollback in the bake time, a crash and resume, the end.
 */
describe('a release from the command line', function () {
  this.timeout(600_000);
  // The steps build on each other: after one that failed, neither it nor the next ones could tell anything.
  this.bail(true);
  this.retries(0);

  const home = mkdtempSync(join(tmpdir(), 'greenlight-e2e-'));
  const cli = new CommandLine(home, 'test/e2e/quick.config.ts');
  const run = (...args: string[]) => cli.run(...args);

  after(async () => {
    const { code, output } = await run('destroy', '--all', '--yes');
    rmSync(home, { recursive: true, force: true });
    expect(code, output).to.equal(0);
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

  it('rolls back in the bake time when asked from another terminal, with every write', async () => {
    const release = cli.start('release');
    await release.until('  Bake');
    await sleep(3_000);
    const rollback = await run('rollback');
    expect(rollback.code, rollback.output).to.equal(0);
    const { code, output } = await release.done;
    expect(code, output).to.equal(3);
    const { verdict, writes, requests, rollback: back } = cli.report();
    expect(verdict).to.equal('rolled-back');
    expect(back).to.include({ automatic: false });
    expect(requests.failed).to.equal(0);
    expect(writes.acknowledged).to.be.greaterThan(100);
    expect(writes).to.include({ lost: 0, duplicated: 0 });
    expect((await run('status')).output).to.match(/green +2\.0\.0 +live +100 %/);
  });

  it('goes on after it was killed in the middle of the canary', async () => {
    const release = cli.start('release');
    await release.until('  Canary');
    await sleep(4_000);
    release.child.kill('SIGKILL');
    await release.done;
    const refused = await run('release');
    expect(refused.code).to.equal(1);
    expect(refused.output).to.contain('npm run resume');
    const { code, output } = await run('resume');
    expect(code, output).to.equal(0);
    const { verdict, writes } = cli.report();
    expect(verdict).to.equal('go');
    expect(writes).to.include({ lost: 0, duplicated: 0 });
    expect((await run('status')).output).to.match(/blue +2\.0\.0 +live +100 %/);
  });

  it('rehearses the whole on staging, and leaves production as it is', async () => {
    const { code, output } = await run('rehearse');
    expect(code, output).to.equal(0);
    const after = (await run('status')).output;
    expect(after).to.match(/blue +2\.0\.0 +live +100 %/);
    expect(after).to.match(/staging[^]*-2\.0\.0, 2\.0\.0: go/);
  });
});
