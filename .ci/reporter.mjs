import { appendFileSync, writeFileSync } from 'node:fs';

/**
 * Mocha reporter that writes each result down when it is there, one JSON object per line: a run that is cut off still
 * says what it had found. (Mocha's own JSON and xunit reporters write at the end only.)
 */
export default class LineReporter {
  constructor(runner, { reporterOptions }) {
    const { output } = reporterOptions;
    writeFileSync(output, '');
    const write = (result) => appendFileSync(output, `${JSON.stringify(result)}\n`);
    const describe = (test) => ({ title: test.fullTitle(), file: test.file, ms: test.duration });
    runner.on('pass', (test) => write({ state: 'passed', ...describe(test) }));
    runner.on('pending', (test) => write({ state: 'skipped', ...describe(test) }));
    // Failed hooks arrive here as well: the tests behind them never run.
    runner.on('fail', (test, error) => {
      write({ state: 'failed', ...describe(test), error: String(error.stack ?? error.message ?? error) });
    });
    // Where this is missing the process ended before its tests did, with whatever exit code.
    runner.on('end', () => write({ state: 'ended' }));
  }
}
