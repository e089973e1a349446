import type { Colour } from '../../infra/model.ts';
import { withClient } from '../../automation/data/connect.ts';
import { processIdentity } from '../../infra/lib/process-identity.ts';
import type { Router } from '../../infra/platform/router.ts';
import { killDatabase, loseDatabase, signalSessions } from './database-processes.ts';
import { withProduction } from './world.ts';

/** What a drill does to the world while a release runs, or before it. */
export interface Hands {
  /** Colour that was live when the drill began, and the other one. */
  live: Colour;
  idle: Colour;
  /** Kills the release's own process, as a power cut would. */
  killRelease: () => void;
  /** Runs another command beside the release; resolves to its exit code. */
  run: (verb: string, ...args: string[]) => Promise<number>;
  sql: typeof sql;
  killInstances: typeof killInstances;
  killDatabase: typeof killDatabase;
  loseDatabase: typeof loseDatabase;
  signalSessions: typeof signalSessions;
  /** The balancer, at hand: what is read from it is a few milliseconds old. */
  router: Pick<Router, 'read'>;
}

/** The hands of one drill. */
export const handsOf = (drill: Pick<Hands, 'live' | 'idle' | 'killRelease' | 'run' | 'router'>): Hands => ({
  ...drill,
  sql,
  killInstances,
  killDatabase,
  loseDatabase,
  signalSessions,
});

/** Runs one statement as the administrator of a colour's database, past the application and its roles. */
export const sql = (colour: Colour, statement: string): Promise<void> =>
  withProduction(async ({ databases }) => {
    await withClient(await databases.of(colour), 'admin', (client) => client.query(statement));
  });

/** Kills every instance of a service, `times` with a second between, as the supervisor brings them back. Resolves to how many it hit. */
export async function killInstances(service: string, colour: Colour, times: number): Promise<number> {
  let killed = 0;
  for (let i = 0; i < times; i += 1) {
    await withProduction(async ({ instances }) => {
      for (const { id, pid } of await instances.list()) {
        // A pid of nobody, or of somebody else by now, is left alone.
        if (!id.startsWith(`${service}.${colour}.`) || pid === undefined || processIdentity(pid) === undefined)
          continue;
        process.kill(pid, 'SIGKILL');
        killed += 1;
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  return killed;
}
