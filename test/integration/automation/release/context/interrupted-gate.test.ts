import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { createLocalJobs } from '../../../../../infra/local/runtime/jobs.ts';
import { testsGate } from '../../../../../automation/gates/tests/tests.ts';
import { openJournal } from '../../../../../automation/journal/journal.ts';
import type { Stage } from '../../../../../automation/release/context/stage.ts';
import { runRelease } from '../../../../../automation/release/run.ts';
import { scratchDirectory } from '../../gates/gate-harness.ts';
import { releaseSettings } from '../settings.ts';

/** Writes its process id to a file, and runs until it is stopped. */
const endless = `require('node:fs').writeFileSync('pid', String(process.pid)); setInterval(() => undefined, 1000)`;

describe('interrupting a release while a gate runs', () => {
  const directory = scratchDirectory();

  it('ends the gate and its child process, and records no judgement', async () => {
    const journal = openJournal(directory);
    const abort = new AbortController();
    const gate = testsGate({
      id: 'acceptance',
      title: 'Acceptance',
      jobs: createLocalJobs(),
      artefact: { version: '2.0.0', digest: '', location: directory },
      command: [process.execPath, '-e', endless],
      env: {},
      timeoutMs: 10_000,
    });
    const staging: Stage = {
      id: 'staging',
      title: 'Staging',
      workMs: 0,
      observationMs: 0,
      steps: [{ says: 'judge', do: (context) => context.gates([gate]) }],
    };
    const settings = releaseSettings({ directory, journal, signal: abort.signal });

    const pidFile = join(directory, 'pid');
    const released = runRelease(settings, [staging]).catch((error: unknown) => error);
    while (!existsSync(pidFile) || readFileSync(pidFile, 'utf8') === '') await sleep(20);
    abort.abort(new Error('Ctrl-C'));

    expect(await released).to.have.property('message', 'Ctrl-C');
    expect(() => process.kill(Number(readFileSync(pidFile, 'utf8')), 0)).to.throw('ESRCH');
    const entries = journal.entries();
    journal.close();
    expect(entries.map(({ type }) => type)).not.to.contain('gate.judged');
    expect(entries.find(({ type }) => type === 'stage.ended')).to.include({ verdict: 'error', reason: 'interrupted' });
  });
});
