import { join } from 'node:path';
import quick from '../../quick.config.ts';

const program = join(import.meta.dirname, '../../../integration/automation/release/steps/traffic/fixtures/queue.mjs');
const worker = (how: string) => ({
  name: how,
  start: ['node', program, how],
  env: { LINES: '${files.done}/lines' },
  stopSeconds: 10,
});

/** The sample with two workers, a schedule and a directory of files. */
export default {
  ...quick,
  application: {
    ...quick.application,
    build: { command: ['node', 'test/e2e/further/workers/build.ts'], timeoutSeconds: 60 },
    workers: [worker('table'), worker('file')],
    schedules: [
      {
        name: 'minutes',
        cron: '* * * * *',
        command: ['sh', '-c', 'date -u +%FT%H:%M >> "$DONE_DIR/minutes"'],
        database: false,
      },
    ],
    files: [{ name: 'done', env: 'DONE_DIR', maxMegabytes: 10 }],
  },
  synthetic: { ...quick.synthetic, requestsPerSecond: 20 },
  security: { ...quick.security, maxSeconds: 240 },
  bake: { seconds: 5, oldColour: 'release' as const },
};
