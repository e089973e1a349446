import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { provideNewerPostgres } from '../../lib/newer-postgres.ts';
import { CommandLine, expectFlawless } from '../command-line.ts';

describe('a major upgrade of PostgreSQL in a release', function () {
  this.timeout(1_800_000);
  this.bail(true);

  const home = mkdtempSync(join(tmpdir(), 'greenlight-upgrade-'));
  const older = new CommandLine(home, 'test/e2e/further/older.config.ts');
  const cli = new CommandLine(home, 'test/e2e/further/upgrade.config.ts');
  const versionOf = (colour: 'blue' | 'green'): string =>
    readFileSync(join(home, 'environments', 'production', 'postgres', colour, 'data', 'PG_VERSION'), 'utf8').trim();

  before(provideNewerPostgres);
  after(async () => {
    await Promise.all([older.end(), cli.end()]);
    const { code, output } = await cli.run('destroy', '--all', '--yes');
    expect(code, output).to.equal(0);
    rmSync(home, { recursive: true, force: true });
  });

  it('begins with a live database of an older version', async () => {
    const { code, output } = await older.run('release', '--version', '1.0.0');
    expect(code, output).to.equal(0);
    expect(Number(versionOf('blue'))).to.be.lessThan(17);
  });

  it('is said by the dry run, with what it means', async () => {
    const { code, output } = await cli.run('release', '--dry-run');
    expect(code, output).to.equal(0);
    expect(output).to.match(/a major upgrade of PostgreSQL, \d+ to 17/);
    expect(output).to.include('so by rows').and.to.include("compute the planner's statistics on green");
  });

  it('is made without a failed request or a lost write', async () => {
    const { code, output } = await cli.run('release');
    expect(code, output).to.equal(0);
    expectFlawless(cli.report());
    expect(versionOf('green')).to.equal('17');
  });
});
