import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync } from 'node:fs';
import { constants, userInfo } from 'node:os';
import { basename, join } from 'node:path';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { bareEnvironment } from '../../infra/lib/child-environment.ts';
import { environmentDirectory } from '../../infra/lib/paths.ts';
import { environmentNames, type EnvironmentName } from '../../infra/model.ts';
import type { PreparedCommand } from '../../infra/platform/commands.ts';
import type { Environment } from '../../infra/platform/environment.ts';
import { pastReleases } from '../journal/history.ts';
import { connectTo } from '../release/context/context.ts';
import { located, readArtefact } from '../release/context/live.ts';
import { openSession, type CommandOptions, type CommandSession } from './session.ts';

export interface RunOptions extends CommandOptions {
  environment?: string;
  as?: string;
  service?: string;
}

const doing = 'running a command';

/**
 * `greenlight run -- <command>`: runs it in the artefact of the live colour, with the variables of a service and this terminal. Resolves
 * to its exit code. Its end is not waited for by a release: from a cutover on the database refuses its writes.
 */
export async function run(command: string[], options: RunOptions): Promise<number> {
  const environment = oneOf(environmentNames, options.environment ?? 'production', '--environment');
  const role = oneOf(['app', 'owner'] as const, options.as ?? 'app', '--as');
  const session = await openSession(options);
  try {
    const { where, ...prepared } = await prepare(session, environment, { role, service: options.service, command });
    // From here on Ctrl-C is the command's.
    session.close();
    const log = logOf(environment);
    // Arguments may hold secrets.
    const what = `${basename(command[0] ?? '')} with ${command.length - 1} arguments as ${role} on ${where}`;
    log(`${userInfo().username} runs ${what}`);
    const code = await execute(command, prepared).finally(() => prepared.end());
    log(`${what}: exit code ${code}`);
    return code;
  } finally {
    session.close();
  }
}

async function prepare(
  session: CommandSession,
  name: EnvironmentName,
  { role, service: wanted, command }: { role: 'app' | 'owner'; service: string | undefined; command: string[] },
) {
  if (!(await session.engine.exists(name, 'foundation')))
    throw new OperationError(doing, `${name} is not up`, `release first: ${greenlight('release')}`);
  const running = await connectTo(session, name);
  try {
    if (running.commands === undefined)
      throw new OperationError(
        doing,
        `the platform ${session.platform.name} runs no command of a person yet`,
        'run it where the database can be reached, with a login of its own',
      );
    const colour = await liveOf(running);
    const artefact = await readArtefact(session.engine, name, colour);
    if (artefact === undefined)
      throw new OperationError(doing, `no version is recorded on ${colour}`, `look at: ${greenlight('status')}`);
    const { services } = session.definition.application;
    const service = wanted ?? (services.find(({ database }) => database) ?? services[0])?.name ?? '';
    const place = await running.commands.prepare({
      colour,
      artefact: await located(session.platform, artefact),
      service,
      role,
      command,
      input: process.stdin.isTTY && process.stdout.isTTY ? 'terminal' : 'pipe',
    });
    return { ...place, where: `${colour} of ${name}, ${artefact.version}` };
  } finally {
    await running.close();
  }
}

/** The colour that gets the writes. Rejects while they move: the command would write where nothing may be written. */
async function liveOf({ name, router }: Environment) {
  const { split, holdMs } = await router.read();
  if (split === undefined)
    throw new OperationError(doing, `nothing is live on ${name}`, `release first: ${greenlight('release')}`);
  const [latest] = pastReleases(name);
  const stages = latest?.ended === undefined ? (latest?.entries ?? []) : [];
  const moving = stages.findLast(({ type }) => type === 'stage.started' || type === 'stage.ended');
  const inCutover = moving?.type === 'stage.started' && moving.stage === 'cutover';
  if (holdMs > 0 || inCutover)
    throw new OperationError(
      doing,
      `the writes of ${name} are being moved to the other colour`,
      `repeat it in a moment; ${greenlight('status')} says when they flow`,
    );
  return split.live;
}

function oneOf<T extends string>(all: readonly T[], value: string, option: string): T {
  const found = all.find((one) => one === value);
  if (found !== undefined) return found;
  throw new OperationError(doing, `${option} is "${value}"`, `use ${all.join(' or ')}`);
}

/** Who ran what, in the environment's logs. */
function logOf(environment: EnvironmentName): (text: string) => void {
  const directory = join(environmentDirectory(environment), 'logs');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return (text) =>
    appendFileSync(join(directory, 'commands.log'), `${new Date().toISOString()} ${text}\n`, { mode: 0o600 });
}

function execute([asked = '']: string[], { argv, directory: cwd, variables }: PreparedCommand): Promise<number> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { ...bareEnvironment(variables), cwd, stdio: 'inherit' });
  // The terminal sends Ctrl-C to both; the command decides what it means.
  const ignore = (): void => undefined;
  const end = (): boolean => child.kill('SIGTERM');
  process.on('SIGINT', ignore).on('SIGTERM', end);
  return new Promise<number>((resolve, reject) => {
    child.once('error', (error) =>
      reject(
        new OperationError(doing, error.message, `"${asked}" is looked for in ${cwd} and in ${variables['PATH']}`),
      ),
    );
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
  }).finally(() => process.off('SIGINT', ignore).off('SIGTERM', end));
}
