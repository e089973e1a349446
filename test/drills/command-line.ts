import { Command, InvalidArgumentError } from 'commander';
import { givenPath } from '../../automation/config/project.ts';
import { printError } from '../../automation/ui/error.ts';
import type { Environment } from '../../automation/ui/text.ts';
import { refuseTakenByNpm } from '../../automation/ui/taken-by-npm.ts';
import type { Scenario } from './scenario.ts';
import { everyScenario, scenarios } from './scenarios.ts';

/** A release with the short times of `definition.ts`, and what a drill does around it. */
const minutesEach = 2;

/** What is to be done; a command line that is wrong ends the program with a message. */
export function readCommandLine(argv: readonly string[], env: Environment): { chosen: Scenario[]; keep?: string } {
  const command = new Command('drill')
    .description(
      'Makes every gate fail once by a real fault, in an environment of its own that is destroyed at the end.',
    )
    .usage('-- [options]')
    .option('--only <name,name>', 'some of them', choose)
    .option('--keep <directory>', 'make the environment there, keep it, and use it again the next time', givenPath)
    .addHelpText('after', () => `\nWithout --only: ${extent(scenarios.length)}.\n${names()}`)
    .showHelpAfterError('(all options and drills: npm run drill -- --help)');
  try {
    refuseTakenByNpm(command, argv.slice(2), env);
  } catch (error) {
    process.exit(printError(error, process.stderr, env));
  }
  const { only = scenarios, keep } = command.parse(argv).opts<{ only?: Scenario[]; keep?: string }>();
  return { chosen: only, ...(keep === undefined ? {} : { keep }) };
}

/** How many, and how long that takes. */
export function extent(count: number): string {
  const drills = count === scenarios.length ? `all ${count} drills` : `${count} of ${scenarios.length} drills`;
  return `${drills}, about ${count * minutesEach} minutes`;
}

const names = (): string => `Drills: ${everyScenario.map(({ name }) => name).join(', ')}`;

function choose(list: string): Scenario[] {
  const wanted = list.split(',');
  const unknown = wanted.filter((name) => !everyScenario.some((scenario) => scenario.name === name));
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no drill ${unknown.join(', ')}. ${names()}`);
  return everyScenario.filter(({ name }) => wanted.includes(name));
}
