import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../../infra/paths.ts';
import { exitCodes } from '../../automation/ui/exit-codes.ts';
import { brokenOff, type DrillResult } from './judge.ts';
import type { Scenario } from './scenario.ts';
import { scenarios } from './scenarios.ts';
import { line, table } from './table.ts';

/**
 * `npm run drill`: every gate fails once by a real fault, in an environment of its own that is destroyed at the end.
 * `-- --only name,name` does some of them; `--keep <directory>` keeps the environment there, and uses it again.
 * Exit code 1 if one fault was not caught as expected. Results: `.greenlight/drills/`.
 */
const { values } = parseArgs({ options: { only: { type: 'string' }, keep: { type: 'string' } } });
const chosen = choose(values.only);
const homeDirectory =
  values.keep === undefined ? mkdtempSync(join(tmpdir(), 'greenlight-drills-')) : resolve(values.keep);
mkdirSync(homeDirectory, { recursive: true });
process.env['GREENLIGHT_HOME'] = homeDirectory;
// Commands of the release definition say `node`: the project's, also without npm.
process.env['PATH'] = [dirname(process.execPath), process.env['PATH']].join(delimiter);

// Only now: nothing of this may have read another GREENLIGHT_HOME.
const { startCli } = await import('./cli.ts');
const { goLive, runDrill } = await import('./run.ts');

const directory = join(projectRoot, '.greenlight', 'drills');
mkdirSync(directory, { recursive: true });
const controller = new AbortController();
const stop = () => {
  if (!controller.signal.aborted)
    console.log(`stopping${values.keep === undefined ? '; the environment is taken down' : ''}`);
  controller.abort(new Error('it was interrupted'));
};
process.on('SIGINT', stop).on('SIGTERM', stop);

const results: DrillResult[] = [];
try {
  console.log(`${chosen.length} drills in ${homeDirectory}; results in ${directory}`);
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
  if (values.keep === undefined) await takeDown();
}

function choose(only: string | undefined): Scenario[] {
  const names = only?.split(',');
  const unknown = names?.filter((name) => !scenarios.some((scenario) => scenario.name === name)) ?? [];
  if (unknown.length > 0) {
    console.error(
      `There is no drill ${unknown.join(', ')}. There are: ${scenarios.map(({ name }) => name).join(', ')}`,
    );
    process.exit(exitCodes.problem);
  }
  return scenarios.filter(({ name }) => names?.includes(name) ?? true);
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
