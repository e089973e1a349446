import { grantWrites } from '../../infra/application/roles.ts';
import { until } from '../../infra/lib/poll.ts';
import { defaultStartSeconds } from '../../infra/model.ts';
import { withClient } from '../data/connect.ts';
import { clientOf, type Ask } from '../gates/web/http-client.ts';
import { build, migrate, readSecrets } from './check.ts';
import type { Check } from './findings.ts';
import { askOnce } from './requests.ts';

/**
 * Starts the version on a workbench whose services count as healthy when they listen, and asks for each of `paths`. Resolves to the
 * first that answers 200; undefined if none does. Rejects with an OperationError if it cannot be started.
 */
export async function findHealthPath(of: Check, paths: readonly string[]): Promise<string | undefined> {
  await readSecrets(of);
  of.waiting('building');
  const artefact = await build(of);
  of.waiting('starting it on a temporary database');
  const database = await of.bench.databases.scratch('init');
  try {
    await migrate(of, artefact, database.access);
    await withClient(database.access, 'admin', (client) => client.query(grantWrites));
    const trial = await of.bench.serve(artefact, database.access);
    try {
      const ask = await clientOf(trial);
      await untilAnswered(ask);
      for (const path of new Set(paths)) if ((await askOnce(ask, path)).status === 200) return path;
      return undefined;
    } finally {
      await trial.stop();
    }
  } finally {
    await database.dispose();
  }
}

/** A program may listen some time before, or after, its port is seen to be open: the proxy says 502 until it answers. */
const untilAnswered = (ask: Ask): Promise<void> =>
  until(
    async () => {
      const { status } = await askOnce(ask, '/');
      return (status !== 0 && status !== 502) || 'no answer';
    },
    {
      everyMs: 200,
      timeoutMs: defaultStartSeconds * 1000,
      doing: 'waiting for an answer of the application',
      todo: 'see that it listens on $HOST:$PORT',
    },
  );
