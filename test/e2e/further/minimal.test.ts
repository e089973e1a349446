import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { CommandLine } from '../command-line.ts';

/** An application of a few lines, with a definition of a few lines: no tests, no k6 script, no login, no migrations. */
describe('the smallest definition from the command line', function () {
  this.timeout(900_000);
  const home = mkdtempSync(join(tmpdir(), 'greenlight-e2e-'));
  const cli = new CommandLine(home, 'test/e2e/minimal/quick.config.ts');
  after(async () => {
    await cli.end();
    const { code, output } = await cli.run('destroy', '--all', '--yes');
    expect(code, output).to.equal(0);
    rmSync(home, { recursive: true, force: true });
  });

  const absent = ['unit-tests', 'integration-tests', 'acceptance', 'authentication', 'data-comparison'];

  it('goes live, and a second version over it, and the report says what was not checked', async () => {
    const { code, output } = await cli.run('release');
    expect(code, output).to.equal(0);
    const { verdict, requests, stages, gates } = cli.report();
    expect(verdict).to.equal('go');
    expect(requests.failed).to.equal(0);
    expect(requests.total).to.be.greaterThan(500);
    expect(stages.map(({ verdict: one }) => one)).to.deep.equal(Array(10).fill('pass'));
    expect(gates.filter((gate) => gate.verdict === 'not-run').map(({ id }) => id)).to.deep.equal(absent);
    expect(gates.filter((gate) => !['pass', 'not-run'].includes(gate.verdict))).to.deep.equal([]);
    expect(gates.map(({ id }) => id)).to.include.members(['smoke', 'compatibility', 'rehearsal-acceptance', 'load']);
    expect(output).to.contain('2.0.0 is live on green; not run: Unit tests of 2.0.0, Integration tests of 2.0.0');
    const html = readFileSync(join(cli.latest(), 'report.html'), 'utf8');
    expect(html).to.contain('the definition has no acceptance tests');
    expect(html).to.contain("not the application's own tests".replaceAll("'", '&#39;'));
    const { checklist } = JSON.parse(readFileSync(join(cli.latest(), 'report.json'), 'utf8')) as {
      checklist: { id: string; verdict: string }[];
    };
    const verdictOf = (id: string) => checklist.find((line) => line.id === id)?.verdict;
    for (const id of ['unit', 'integration', 'acceptance', 'audit', 'transition'])
      expect([id, verdictOf(id)]).to.deep.equal([id, 'not-run']);
  });
});
