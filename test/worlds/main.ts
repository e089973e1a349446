import { Command, InvalidArgumentError, Option } from 'commander';
import { exitCodes } from '../../automation/ui/exit-codes.ts';
import { printError } from '../../automation/ui/error.ts';
import { refuseTakenByNpm } from '../../automation/ui/taken-by-npm.ts';
import { createRig } from '../integration/automation/data/rig.ts';
import { modes, release, type Mode, type Outcome } from './journey.ts';
import { table } from './table.ts';
import type { World } from './world.ts';
import { worlds } from './worlds.ts';

/** `npm run worlds`. Exit code 1 if one world is not whole. */
const names = `Worlds: ${worlds.map(({ name, is }) => `\n  ${name.padEnd(10)} ${is}`).join('')}`;

const command = new Command('worlds')
  .description(
    'Releases schemas of others and their load on two real clusters: there, back, there again, and to the end. Counts what is lost.',
  )
  .usage('-- [options]')
  .option('--only <name,name>', 'some of them', choose)
  .addOption(new Option('--copy <way>', 'how the inactive colour gets its data; without: both ways').choices(modes))
  .option('--json', 'the outcomes as JSON, and nothing else on the standard output')
  .addHelpText('after', `\n${names}`)
  .showHelpAfterError('(all options and worlds: npm run worlds -- --help)');
try {
  refuseTakenByNpm(command, process.argv.slice(2), process.env);
} catch (error) {
  process.exit(printError(error, process.stderr, process.env));
}
const { only = worlds, copy, json = false } = command.parse().opts<{ only?: World[]; copy?: Mode; json?: boolean }>();

function choose(list: string): World[] {
  const wanted = list.split(',');
  const unknown = wanted.filter((name) => !worlds.some((world) => world.name === name));
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no world ${unknown.join(', ')}. ${names}`);
  return worlds.filter(({ name }) => wanted.includes(name));
}

const timesOf = ({ steps }: Outcome): string =>
  steps.map(({ step, ms }) => `${step} ${(ms / 1000).toFixed(1)} s`).join(', ');

let interrupted = false;
process.once('SIGINT', () => (interrupted = true)).once('SIGTERM', () => (interrupted = true));

/** Refusals of a world that are printed. */
const mostShown = 3;

const outcomes: Outcome[] = [];
const rig = await createRig();
try {
  for (const world of only) {
    for (const mode of copy === undefined ? modes : [copy]) {
      if (interrupted) break;
      const where = `${world.name} (${mode})`;
      const outcome = await release(rig, world, mode);
      outcomes.push(outcome);
      for (const { found, ran } of outcome.cured.slice(0, mostShown))
        console.error(`     ${where}: refused: ${found}; cured by: ${ran}`);
      const more = outcome.cured.length - mostShown;
      if (more > 0) console.error(`     ${where}: and ${more} more refusals, each cured (--json has them)`);
      for (const problem of outcome.problems) console.error(`FAIL ${where}: ${problem}`);
      console.error(`${outcome.problems.length === 0 ? 'ok  ' : 'FAIL'} ${where}: ${timesOf(outcome)}`);
    }
  }
} finally {
  await rig.dispose();
}
console.log(json ? JSON.stringify(outcomes, null, 2) : `\n${table(outcomes)}`);
const whole = outcomes.length > 0 && outcomes.every(({ problems }) => problems.length === 0);
process.exitCode = interrupted ? exitCodes.interrupted : whole ? exitCodes.go : exitCodes.problem;
