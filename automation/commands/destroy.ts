import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { greenlight } from '../../infra/lib/command.ts';
import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import type { EnvironmentName } from '../../infra/model.ts';
import { artefactsDirectory, home, stateDirectory } from '../../infra/lib/paths.ts';
import { describeFound } from '../release/context/agreement.ts';
import { connectTo } from '../release/context/context.ts';
import { pastReleases } from '../journal/history.ts';
import { openJournal } from '../journal/journal.ts';
import { lookFor } from '../release/context/live.ts';
import { end } from '../release/run.ts';
import { leaveReport } from '../release/start.ts';
import { destroyEnvironment } from '../stacks/destroy.ts';
import { openSession, withLocks, type CommandOptions, type CommandSession } from './session.ts';

export interface DestroyOptions extends CommandOptions {
  environment?: string;
  all?: boolean;
}

/** `npm run destroy`: deletes environments with their databases, after a confirmation. Prints what is kept. */
export async function destroy(options: DestroyOptions): Promise<number> {
  const environments = chosen(options.environment);
  const session = await openSession(options);
  try {
    const running = await sayWhatRuns(session, environments);
    if (!(await confirmed(session, environments, options))) {
      session.terminal.print('Nothing was changed.');
      return 1;
    }
    await withLocks(session, environments, 'destroy', async () => {
      for (const environment of environments) {
        await sweep(session, environment);
        const { deleted, kept } = await destroyEnvironment(session.engine, session.platform, environment, {
          keepBackups: options.all !== true,
        });
        await endUnfinished(session, environment);
        const wasUp = running.has(environment) || Object.values(deleted).some((count) => count > 0);
        const done = wasUp ? `${environment} is gone.` : `Nothing of ${environment} was up.`;
        session.terminal.print(`${done}${kept.length > 0 ? ` Kept: ${kept.join(', ')}` : ''}`);
      }
    });
    if (options.all === true && environments.length === 2 && session.platform.wipesAll) await removeShared(session);
    return 0;
  } finally {
    session.close();
  }
}

/**
 * Prints what runs, as found on the platform, because the engine's state may be lost. Resolves to the environments that
 * have anything.
 */
async function sayWhatRuns(session: CommandSession, environments: EnvironmentName[]): Promise<Set<EnvironmentName>> {
  const running = new Set<EnvironmentName>();
  for (const environment of environments) {
    try {
      const found = await lookFor(session, environment);
      if (found.facts.length === 0) continue;
      running.add(environment);
      const live = found.live === undefined ? '' : ` ${found.live} is live, and is deleted with its database.`;
      session.terminal.print(`${environment}: ${describeFound(found)}.${live}`);
    } catch (error) {
      session.terminal.print(`${environment}: what runs could not be read: ${messageOf(error)}`);
    }
  }
  return running;
}

/** Ends an interrupted release: without its environment it can be neither resumed nor rolled back. */
async function endUnfinished(session: CommandSession, environment: EnvironmentName): Promise<void> {
  const [open] = pastReleases(environment);
  if (open === undefined || open.ended !== undefined || open.started.platform !== session.platform.name) return;
  const journal = openJournal(open.directory);
  end({ journal }, { verdict: 'aborted', reason: `${environment} was destroyed` });
  journal.close();
  await leaveReport({ ...session, environment, id: open.id, directory: open.directory });
  session.terminal.print(`Release ${open.id} was not finished. It is now recorded as aborted.`);
}

/**
 * Deletes temporary resources of an interrupted run. A scratch database would prevent the deletion of the foundation's
 * network.
 */
async function sweep(session: CommandSession, environment: EnvironmentName): Promise<void> {
  if (session.platform.wipesAll || !(await session.engine.exists(environment, 'foundation'))) return;
  const running = await connectTo(session, environment);
  try {
    const swept = (await running.sweep?.()) ?? [];
    if (swept.length > 0) session.terminal.print(`Deleted temporary resources of an earlier run: ${swept.join(', ')}`);
  } finally {
    await running.close();
  }
}

/** Deletes what the environments share: builds, the engine's state and the passphrase. The tools are kept. */
async function removeShared({ terminal }: CommandSession): Promise<void> {
  const directories = [artefactsDirectory(), stateDirectory(), join(home(), 'engine'), join(home(), 'environments')];
  for (const directory of [...directories, join(home(), 'passphrase')])
    await rm(directory, { recursive: true, force: true });
  terminal.print('Builds and the engine’s state are gone. Kept: the tools.');
}

function chosen(name: string | undefined): EnvironmentName[] {
  if (name === undefined) return ['production', 'staging'];
  if (name === 'staging' || name === 'production') return [name];
  throw new OperationError(
    'choosing what to destroy',
    `there is no environment "${name}"`,
    'use --environment staging or production',
  );
}

async function confirmed(
  session: CommandSession,
  environments: EnvironmentName[],
  options: DestroyOptions,
): Promise<boolean> {
  if (options.yes === true) return true;
  const what = `${environments.join(' and ')}, with ${environments.length === 1 ? 'its' : 'their'} databases`;
  if (session.ask === undefined) {
    throw new OperationError(
      `destroying ${what}`,
      'there is no terminal to ask for a confirmation',
      `if you mean it: ${greenlight('destroy', '--yes')}`,
    );
  }
  return (await session.ask(`Destroy ${what}?`)).yes;
}
