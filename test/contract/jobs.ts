import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artefact } from '../../infra/model.ts';
import type { Job, Jobs } from '../../infra/platform/jobs.ts';
import { refusal } from './databases.ts';

/** What every platform's jobs must do. The artefact that `open` gives holds `marker.txt` with the text `artefact`. */
export function jobsContract(
  platform: string,
  open: () => Promise<{ jobs: Jobs; artefact: Artefact; folder: string; close: () => Promise<void> }>,
): void {
  describe(`jobs of platform ${platform}`, () => {
    let jobs: Jobs;
    let close: () => Promise<void>;
    let job: (script: string, more?: Partial<Job>) => Job;
    before(async () => {
      const opened = await open();
      ({ jobs, close } = opened);
      job = (script, more = {}) => ({
        name: 'sample job',
        artefact: opened.artefact,
        command: ['node', '-e', script],
        env: {},
        timeoutMs: 20_000,
        log: join(opened.folder, 'job.log'),
        ...more,
      });
    });
    after(() => close());

    it('run in the directory of the artefact, and say how they ended', async () => {
      const result = await jobs.run(job("console.log(require('fs').readFileSync('marker.txt', 'utf8'))"));
      expect(result).to.deep.include({ exitCode: 0, timedOut: false });
      expect(result.tail).to.contain('artefact');
      expect(result.ms).to.be.greaterThan(0);
    });

    it('that fail do not reject', async () => {
      const result = await jobs.run(job("console.error('what went wrong'); process.exit(3)"));
      expect(result).to.deep.include({ exitCode: 3, timedOut: false });
      expect(result.tail).to.contain('what went wrong');
    });

    it('get the environment that they are given, as it is', async () => {
      const value = `quotes ' and ", $HOME, ünï, two\nlines`;
      const result = await jobs.run(job('console.log(JSON.stringify(process.env.VALUE))', { env: { VALUE: value } }));
      expect(JSON.parse(result.tail)).to.equal(value);
    });

    it('write their results where they are wanted, and never those of an earlier run', async () => {
      const results = join((job('').log ?? '').replace(/job\.log$/, ''), 'deep/er/results.xml');
      const command = [
        'node',
        '-e',
        "require('fs').writeFileSync(process.argv[1].slice(2), 'results')",
        '--',
        'x={results}',
      ];
      const writing = job('', { results, command });
      expect((await jobs.run(writing)).exitCode).to.equal(0);
      expect(await readFile(results, 'utf8')).to.equal('results');
      await jobs.run(job('', { results }));
      expect(await refusal(readFile(results))).to.contain('ENOENT');
    });

    it('end when their time is over', async () => {
      const result = await jobs.run(job("console.log('begun'); setInterval(() => {}, 1000)", { timeoutMs: 500 }));
      expect(result).to.deep.include({ exitCode: undefined, timedOut: true });
    });

    it('keep both streams in the log', async () => {
      const both = job("console.log('to one'); console.error('to the other')");
      await jobs.run(both);
      expect((await readFile(both.log, 'utf8')).trim().split('\n').sort()).to.deep.equal(['to one', 'to the other']);
    });
  });
}
