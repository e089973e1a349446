import type { Command, Option } from 'commander';
import { OperationError } from '../../infra/lib/errors.ts';
import type { Environment } from './text.ts';

/** Settings of npm's own that a person may have in an .npmrc: they count only for a command that has such an option. */
const oftenConfigured = ['yes', 'all', 'force'];

/**
 * Throws an OperationError where npm kept an option that was meant for `command`: without `--` before it,
 * `npm run release --dry-run` would be a release. npm 10 and 11 hand on what they keep as variables alone, such as
 * npm_config_dry_run=true (https://docs.npmjs.com/cli/v11/using-npm/scripts#environment), and warn of unknown ones at most;
 * npm 12 refuses unknown ones itself. An option of another command counts as well: what it asks for would not be done.
 */
export function refuseTakenByNpm(command: Command, args: readonly string[], env: Environment): void {
  const script = command.name();
  if (env['npm_lifecycle_event'] !== script) return;
  const others = (command.parent?.commands ?? []).flatMap(({ options }) => options);
  const all = new Map([...others, ...command.options].map((option) => [option.name(), option]));
  const taken = [...all.values()].filter(
    (option) =>
      valueOf(option, env) !== '' &&
      !args.some((arg) => arg === option.long || arg.startsWith(`${option.long}=`)) &&
      (command.options.includes(option) || !oftenConfigured.includes(option.name())),
  );
  if (taken.length === 0) return;
  const configured = taken.filter((option) => oftenConfigured.includes(option.name()));
  const without = configured.map((option) => `--no-${option.name()}`).join(' ');
  throw new OperationError(
    'reading the command line',
    `npm took ${taken.map(({ long }) => long).join(' and ')} for itself, so nothing was done`,
    `npm run ${script} -- ${taken.map((option) => written(option, env)).join(' ')}` +
      (without === '' ? '' : `; where npm's configuration sets it: npm run ${script} ${without}`),
  );
}

/** Empty where it is not set, or off. */
const valueOf = (option: Option, env: Environment): string =>
  env[`npm_config_${option.name().replaceAll('-', '_')}`] ?? '';

/** Of `--platform aws`, npm keeps `true`, and takes `aws` for an argument of the script. */
function written(option: Option, env: Environment): string {
  const value = valueOf(option, env);
  return value === 'true' ? option.flags : `${option.long} ${value}`;
}
