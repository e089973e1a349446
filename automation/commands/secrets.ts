import { environmentNames, type EnvironmentName } from '../../infra/model.ts';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { rotateSecrets, secretStates, type SecretState } from '../release/rotate.ts';
import { exitCodes } from '../ui/exit-codes.ts';
import { openSession, withLocks, type CommandOptions, type CommandSession } from './session.ts';

export interface SecretsOptions extends CommandOptions {
  environment?: string;
  rotate?: boolean;
}

/**
 * `npm run secrets`: where the secrets of the application come from, and whether what runs has the value that is there. With `rotate`
 * what runs gets it, without a failed request. Prints no value.
 */
export async function secretsCommand(options: SecretsOptions): Promise<number> {
  const environments = chosen(options.environment);
  const session = await openSession(options, `see what runs: ${greenlight('secrets')}; then repeat it`);
  try {
    if (options.rotate !== true) return await list(session, environments);
    return await withLocks(session, ['production', 'staging'], 'secrets', async () => {
      for (const environment of environments) {
        const changed = await rotateSecrets(session, environment);
        const what = changed.length === 0 ? 'nothing has changed' : `rotated: ${changed.join(', ')}`;
        session.terminal.print(`${environment}: ${what}`);
      }
      return exitCodes.go;
    });
  } finally {
    session.close();
  }
}

async function list(session: CommandSession, environments: EnvironmentName[]): Promise<number> {
  let unreadable = false;
  for (const environment of environments) {
    const states = await secretStates(session, environment);
    unreadable ||= states.some(({ running }) => typeof running !== 'string');
    const lines = states.map((state) => `\n  ${state.name}: ${says(state)} (${state.source})`);
    session.terminal.print(`${environment}:${lines.length === 0 ? ' no secrets' : lines.join('')}`);
  }
  return unreadable ? exitCodes.problem : exitCodes.go;
}

function says({ running }: SecretState): string {
  if (typeof running !== 'string') return `cannot be read: ${running.problem}`;
  if (running === 'nothing yet') return 'does not run yet: a release brings it';
  return running === 'current' ? 'runs with it' : `runs with an older value: ${greenlight('secrets', '--rotate')}`;
}

function chosen(name: string | undefined): EnvironmentName[] {
  if (name === undefined) return ['staging', 'production'];
  const found = environmentNames.find((known) => known === name);
  if (found !== undefined) return [found];
  throw new OperationError(
    'reading the command line',
    `there is no environment "${name}"`,
    'choose staging or production',
  );
}
