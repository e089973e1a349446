import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stateDirectory } from '../../../infra/lib/paths.ts';
import { projectName } from '../../../infra/stacks.ts';
import type { Scenario } from '../scenario.ts';
import { refused } from './expected.ts';

/** A refusal has to name the colour that runs, which the state does not have. */
const whatRuns = /\b(blue|green)\b/;

/** The engine no longer knows what runs, while users write to it: nothing may be taken for a first go-live. */
export const lostState: Scenario[] = [
  {
    name: 'state-cut-off',
    fault: 'the state file of the live colour is cut off at 60 %',
    expect: refused(whatRuns),
    felt: 'nothing',
    arrange: async ({ live }) => {
      const file = join(stateDirectory(), '.pulumi', 'stacks', projectName, `production-${live}.json`);
      const whole = await readFile(file);
      await writeFile(file, whole.subarray(0, Math.floor(whole.length * 0.6)));
      return () => writeFile(file, whole);
    },
  },
  {
    name: 'state-gone',
    fault: 'the state folder was moved away',
    expect: refused(whatRuns),
    felt: 'nothing',
    arrange: async () => {
      const away = `${stateDirectory()}.away`;
      await rename(stateDirectory(), away);
      return async () => {
        await rm(stateDirectory(), { recursive: true, force: true });
        await rename(away, stateDirectory());
      };
    },
  },
];
