import { createInterface } from 'node:readline/promises';
import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import type { EnvironmentName } from '../../infra/model.ts';
import { environmentDirectory, releasesDirectory } from '../../infra/lib/paths.ts';
import type { Lease } from '../../infra/platform/lease.ts';
import { loadRelease } from '../config/load.ts';
import { makeHome } from '../config/project.ts';
import { gatesOf } from '../release/plan.ts';
import { semanticVersion } from '../config/scalars.ts';
import { choosePlatform } from './choose-platform.ts';
import { acquireLock, type Lock } from './lock.ts';
import { secrets } from '../../infra/lib/redact.ts';
import type { Session } from '../release/start.ts';
import { createEngine } from '../stacks/engine.ts';
import { exitCodes } from '../ui/exit-codes.ts';
import { createTerminal, type Terminal } from '../ui/terminal.ts';

export interface CommandOptions {
  config?: string;
  yes?: boolean;
  discardLost?: boolean;
  /** Overrides the platform of the release definition. */
  platform?: string;
}

export interface CommandSession extends Session {
  terminal: Terminal;
  close(): void;
}

/**
 * Loads the release definition and creates platform, engine and terminal. Ctrl-C and SIGTERM abort the session's
 * signal.
 */
export async function openSession(options: CommandOptions, afterInterrupt?: string): Promise<CommandSession> {
  const definition = await loadRelease(gatesOf, options.config, options.platform);
  const redact = (text: string): string => secrets.redact(text);
  const ignored = makeHome();
  const platform = await choosePlatform(definition, redact);
  const engine = createEngine(platform, { redact });
  const terminal = createTerminal({ stdout: process.stdout, isTTY: process.stdout.isTTY, env: process.env });
  if (ignored !== undefined) terminal.print(ignored);
  const abort = abortOnSignals((text) => terminal.waiting(text), afterInterrupt);
  return {
    definition,
    platform,
    engine,
    terminal,
    signal: abort.signal,
    waiting: (text) => terminal.waiting(text),
    show: (journal) => terminal.follow(journal),
    ask: process.stdin.isTTY && process.stdout.isTTY ? (question) => ask(terminal, question, abort.signal) : undefined,
    approved: options.yes ?? false,
    discardLost: options.discardLost ?? false,
    hasLock: () => true,
    close() {
      abort.close();
      terminal.close();
    },
  };
}

/** The version to release: the option, or else that of the release definition. */
export function versionOf({ definition }: Session, option: string | undefined): string {
  if (option === undefined) return definition.application.version;
  if (semanticVersion.test(option)) return option;
  throw new OperationError('choosing the version', `"${option}" is not a version`, 'write one such as 2.0.0');
}

/**
 * Runs `work` while this process holds the locks of the environments: on this machine, and on a platform that several
 * machines use also between machines. A release of production uses staging too and locks both, always in the same
 * order.
 */
export async function withLocks<T>(
  session: CommandSession,
  environments: readonly EnvironmentName[],
  release: string,
  work: () => Promise<T>,
): Promise<T> {
  const by = { owner: process.env['USER'] ?? 'greenlight', release };
  const locks: (Lock | Lease)[] = [];
  const { shared } = session.platform;
  try {
    for (const environment of environments) {
      locks.push(acquireLock(environmentDirectory(environment), by));
      if (shared !== undefined) locks.push(await shared.acquire(environment, by));
      await pullReleases(session, environment);
    }
    for (const { note } of locks) if (note !== undefined) session.terminal.print(note);
    session.hasLock = () => locks.every((lock) => lock.held());
    return await work();
  } finally {
    for (const lock of locks.reverse()) await lock.unlock();
  }
}

/** Copies the journals of releases by other machines to this one, on a platform that several machines use. */
export async function pullReleases({ platform }: CommandSession, environment: EnvironmentName): Promise<void> {
  await platform.shared?.pullReleases(environment, releasesDirectory(environment));
}

/** The command was stopped by Ctrl-C or SIGTERM. Everything is left as it is, for `resume`. */
export class Interrupted extends OperationError {
  constructor(todo = `go on: ${greenlight('resume')}; or go back: ${greenlight('rollback')}`, doing = 'releasing') {
    super(doing, 'it was interrupted', todo);
    this.name = 'Interrupted';
  }
}

/** The first Ctrl-C or SIGTERM stops at the next safe point. The second ends the process at once. */
export function abortOnSignals(say: (text: string) => void, afterInterrupt: string | undefined, doing?: string) {
  const controller = new AbortController();
  const stop = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    say('stopping at the next safe point; once more stops at once');
    controller.abort(new Interrupted(afterInterrupt, doing));
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return {
    signal: controller.signal,
    close: () => process.off('SIGINT', stop).off('SIGTERM', stop),
  };
}

async function ask(terminal: Terminal, question: string, signal: AbortSignal): Promise<{ yes: boolean; by: string }> {
  terminal.pause();
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal });
    return { yes: /^y(es)?$/i.test(answer.trim()), by: process.env['USER'] ?? 'operator' };
  } finally {
    lines.close();
    terminal.resume();
  }
}
