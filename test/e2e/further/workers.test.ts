import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { CommandLine } from '../command-line.ts';
import { Jobs } from './workers/jobs.ts';

/** How many releases over a live version; each takes minutes. */
const releases = Number(process.env['GREENLIGHT_RELEASES'] ?? 2);

describe('workers over whole releases', function () {
  this.timeout(7_200_000);
  this.bail(true);

  const home = process.env['GREENLIGHT_WORKERS_HOME'] ?? mkdtempSync(join(tmpdir(), 'greenlight-workers-'));
  const cli = new CommandLine(home, 'test/e2e/further/workers/workers.config.ts');
  let jobs: Jobs | undefined;
  after(async () => {
    await jobs?.end();
    await cli.end();
    const { code, output } = await cli.run('destroy', '--all', '--yes');
    expect(code, output).to.equal(0);
    rmSync(home, { recursive: true, force: true });
  });

  const live = async (): Promise<'blue' | 'green'> => {
    const { output } = await cli.run('status');
    return /\n +green +\S+ +live/.test(output.slice(0, output.indexOf('staging'))) ? 'green' : 'blue';
  };

  it('begin with the first go-live', async () => {
    if (process.env['GREENLIGHT_WORKERS_HOME'] === undefined) {
      const { code, output } = await cli.run('release', '--version', '1.0.0', '--yes');
      expect(code, output).to.equal(0);
    }
    expect((await cli.run('status')).output).to.match(
      /workers +file\.blue\.1 running; minutes\.blue\.1 \w+; table\.blue\.1 running/,
    );
  });

  it('lets somebody run a command with the variables of a service, and passes its exit code on', async () => {
    const script = `require('node:fs').writeSync(1, process.env.GREENLIGHT_COLOUR + process.env.DONE_DIR); process.exit(7)`;
    const { code, output } = await cli.run('run', '--', 'node', '-e', script);
    expect([code, output]).to.deep.equal([7, `blue${join(home, 'environments/production/files/done')}`]);
    const log = readFileSync(join(home, 'environments/production/logs/commands.log'), 'utf8');
    expect(log).to.match(/ runs node with 2 arguments as app on blue of production, 1\.0\.0\n.*exit code 7\n/);
    expect(log).not.to.contain('writeSync');
    expect((await cli.run('run', '--as', 'root', '--', 'node')).output).to.contain('--as is "root"');
    expect((await cli.run('run', '--', './no-such')).output).to.contain('"./no-such" is looked for in');
  });

  it(`do every job once in ${releases} releases under load`, async () => {
    jobs = new Jobs(home);
    for (let release = 0; release < releases; release += 1) {
      const { code, output } = await cli.run('release', '--yes');
      expect(code, output).to.equal(0);
      console.log(/workers paused for .*/.exec(output)?.[0], jobs.made.table.length, 'jobs');
    }
    await jobs.end();
    const colour = await live();
    expect(jobs.unknown).to.equal(0);
    for (const kind of ['table', 'file'] as const) {
      const made = new Set(jobs.made[kind]);
      let done: number[] = [];
      for (let wait = 0; wait < 300; wait += 1) {
        done = await jobs.done(kind, colour);
        if (made.size <= new Set(done).size) break;
        await sleep(100);
      }
      expect(done.length - new Set(done).size, `${kind}: done twice`).to.equal(0);
      expect(
        [...made].filter((job) => !done.includes(job)),
        `${kind}: lost`,
      ).to.deep.equal([]);
    }
    const minutes = readFileSync(join(home, 'environments/production/files/done/minutes'), 'utf8').trim().split('\n');
    expect(new Set(minutes).size).to.equal(minutes.length);
  });
});
