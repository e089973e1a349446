import type { Command, Option } from 'commander';
import { OperationError } from '../../infra/lib/errors.ts';
import type { Environment } from './text.ts';

/** npm settings that may come from a user's .npmrc. They count only if the command has an option of that name. */
const oftenConfigured = ['yes', 'all', 'force'];

/**
 * Throws an OperationError if npm consumed an option that was meant for `command`. Without `--` before the option, `npm
 * run release --dry-run` would make a release. npm 10 and 11 pass such options on only as variables, such as
 * npm_config_dry_run=true (https://docs.npmjs.com/cli/v11/using-npm/scripts#environment), and at most warn of unknown
 * ones. npm 12 refuses unknown ones itself. An option of another command counts too, because it would be ignored.
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

/** npm's value of the option; empty if it is not set or off. */
const valueOf = (option: Option, env: Environment): string =>
  env[`npm_config_${option.name().replaceAll('-', '_')}`] ?? '';

/** The option as it should be typed. Of `--platform aws` npm keeps `true` and passes `aws` on as an argument. */
function written(option: Option, env: Environment): string {
  const value = valueOf(option, env);
  return value === 'true' ? option.flags : `${option.long} ${value}`;
}
