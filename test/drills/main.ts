import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { packageRoot } from '../../infra/lib/paths.ts';
import { exitCodes } from '../../automation/ui/exit-codes.ts';
import { extent, readCommandLine } from './command-line.ts';
import { brokenOff, type DrillResult } from './judge.ts';
import { scenarios } from './scenarios.ts';
import { line, table } from './table.ts';

/** `npm run drill`. Exit code 1 if one fault was not caught as expected. Results: `.greenlight/drills/`. */
const { chosen, keep } = readCommandLine(process.argv, process.env);
const homeDirectory = keep ?? mkdtempSync(join(tmpdir(), 'greenlight-drills-'));
mkdirSync(homeDirectory, { recursive: true });
process.env['GREENLIGHT_HOME'] = homeDirectory;
// Commands of the release definition say `node`: the project's, also without npm.
process.env['PATH'] = [dirname(process.execPath), process.env['PATH']].join(delimiter);

// Only now: nothing of this may have read another GREENLIGHT_HOME.
const { startCli } = await import('./cli.ts');
const { goLive, runDrill } = await import('./run.ts');

const directory = join(packageRoot, '.greenlight', 'drills');
mkdirSync(directory, { recursive: true });
const controller = new AbortController();
const stop = () => {
  if (!controller.signal.aborted) console.log(`stopping${keep === undefined ? '; the environment is taken down' : ''}`);
  controller.abort(new Error('it was interrupted'));
};
process.on('SIGINT', stop).on('SIGTERM', stop);

const results: DrillResult[] = [];
try {
  console.log(`${extent(chosen.length)}, in ${homeDirectory}; results in ${directory}`);
  if (chosen.length === scenarios.length) console.log('some of them: npm run drill -- --only <name>,<name>');
  await goLive({ directory, signal: controller.signal });
  console.log('ok   the baseline is live');
  for (const scenario of chosen) {
    const result = await runDrill(scenario, { directory, signal: controller.signal }).catch((error: Error) => {
      controller.signal.throwIfAborted();
      return brokenOff(scenario, error);
    });
    results.push(result);
    for (const text of line(result)) console.log(text);
  }
  process.exitCode = results.every(({ ok }) => ok) ? exitCodes.go : exitCodes.problem;
} catch (error) {
  console.error(`The drills broke off: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = controller.signal.aborted ? exitCodes.interrupted : exitCodes.problem;
} finally {
  writeFileSync(join(directory, 'drills.json'), `${JSON.stringify(results, null, 2)}\n`);
  if (results.length > 0) console.log(`\n${table(results)}\n`);
  if (keep === undefined) await takeDown();
}

/** Nothing of the environment stays, whatever happened in it. */
async function takeDown(): Promise<void> {
  const log = join(directory, 'destroy.log');
  const code = await startCli(['destroy', '--all', '--yes'], { env: {}, log, signal: new AbortController().signal })
    .exit;
  if (code !== 0) {
    console.error(`The environment in ${homeDirectory} was not taken down (exit code ${code}): see ${log}`);
    process.exitCode = exitCodes.problem;
    return;
  }
  const left = existsSync(homeDirectory) ? readdirSync(homeDirectory) : [];
  if (left.length > 0) console.error(`Left in ${homeDirectory}: ${left.join(', ')}`);
  rmSync(homeDirectory, { recursive: true, force: true });
  console.log('The environment is gone.');
}
