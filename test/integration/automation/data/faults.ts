import { applicationName, rows, whileLost, withClient } from '../../../../automation/data/connect.ts';
import type { Side } from '../../../../automation/data/link.ts';
import type { MemoryRouter } from './traffic.ts';

/** What may happen to a database and its sessions in a cutover, as an administrator, the kernel or the network do it. */
export const faults = {
  'the sessions of the release end': (side: Side): Promise<void> =>
    end(side, `application_name LIKE '${applicationName}%' AND backend_type = 'client backend'`),
  'the replication’s processes end': (side: Side): Promise<void> =>
    end(side, `backend_type IN ('walsender', 'logical replication worker')`),
  /** The server ends all other sessions, recovers and starts again by itself. */
  'a backend is killed': async (side: Side): Promise<void> => {
    const [victim] = await asAdministrator(side, (client) =>
      rows<{ pid: number }>(
        client,
        `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY backend_start LIMIT 1`,
      ),
    );
    if (victim === undefined) throw new Error('no backend to kill');
    process.kill(victim.pid, 'SIGKILL');
  },
};

const asAdministrator = <T>(side: Side, work: Parameters<typeof withClient<T>>[2]): Promise<T> =>
  withClient(side.access, 'admin', work, { applicationName: 'an administrator' });

const end = (side: Side, which: string): Promise<void> =>
  asAdministrator(side, async (client) => {
    await client.query(
      `SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE ${which} AND pid <> pg_backend_pid()`,
    );
  });

/** Resolves once a server that a fault had ended answers again. */
export const answers = (side: Side): Promise<void> =>
  whileLost(performance.now() + 30_000, () => withClient(side.access, 'admin', () => Promise.resolve()));

/** Does something once, right after the router has done this. */
export function after(
  router: MemoryRouter,
  method: 'hold' | 'apply' | 'resumeWrites',
  fault: () => Promise<void>,
): void {
  const original = router[method].bind(router) as (...args: unknown[]) => Promise<void>;
  router[method] = async (...args: unknown[]) => {
    router[method] = original;
    await original(...args);
    await fault();
  };
}
