import type { Artefact } from '../../infra/model.ts';
import type { DatabaseAccess } from '../../infra/platform/databases.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { secrets } from '../../infra/lib/redact.ts';
import { clientOf } from '../gates/web/http-client.ts';
import type { Check } from './findings.ts';
import { askOnce, pathsToAsk, type Answered } from './requests.ts';
import { markTables, writtenSince } from './tables.ts';

/** Starts every service, asks ten times, and stops them. Resolves to the paths that were asked. */
export async function tryVersion(of: Check, artefact: Artefact, access: DatabaseAccess): Promise<string[]> {
  const { bench, found, definition } = of;
  const { services } = definition.application;
  const before = await markTables(access);
  const began = performance.now();
  const trial = await withOutput(of, () => bench.serve(artefact, access));
  try {
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    found.ok('application.services', `${services.map(({ name }) => name).join(', ')}: healthy after ${seconds} s`);
    for (const { table } of await writtenSince(access, before))
      found.warning(
        'application.services',
        `an application that starts writes to table ${table}; on the inactive colour it may not`,
        'write it in a migration, or on the first request that writes',
      );
    of.waiting('sending ten requests');
    const paths = await pathsToAsk(
      trial,
      services.flatMap(({ routes }) => routes),
    );
    await askAndWatch(of, access, await clientOf(trial), paths);
    return [...new Set(paths)];
  } finally {
    of.waiting('stopping the services');
    const killed = await trial.stop();
    for (const name of killed)
      found.error(
        serviceKey(of, name),
        'it does not end on SIGTERM, and was killed: requests that it has then are lost',
        'end it on SIGTERM when its requests are answered; a shell in `start` has to `exec` the program',
      );
    if (killed.length === 0) found.ok('application.services', 'end on SIGTERM');
    await reportOutput(of);
  }
}

const serviceKey = ({ definition }: Check, name: string): string =>
  `application.services[${definition.application.services.findIndex((one) => one.name === name)}] (${name})`;

async function askAndWatch(
  { found }: Check,
  access: DatabaseAccess,
  ask: Awaited<ReturnType<typeof clientOf>>,
  paths: readonly string[],
): Promise<void> {
  const answers: Answered[] = [];
  const writes = new Map<string, Set<string>>();
  for (const path of paths) {
    const mark = await markTables(access);
    answers.push(await askOnce(ask, path));
    for (const { table } of await writtenSince(access, mark))
      writes.set(path, (writes.get(path) ?? new Set()).add(table));
  }
  for (const path of new Set(paths)) {
    const mine = answers.filter((answer) => answer.path === path);
    const statuses = [...new Set(mine.map(({ status }) => status))].join(', ');
    const slowest = Math.round(Math.max(...mine.map(({ ms }) => ms)));
    const about = `GET ${path}`;
    if (mine.some(({ status }) => status === 0))
      found.error(about, mine.find((one) => one.found)?.found ?? 'no answer');
    else if (mine.some(({ status }) => status >= 500))
      found.error(about, `status ${statuses}`, 'see what the application logs, below');
    else found.ok(about, `status ${statuses}, ${slowest} ms`);
    for (const table of writes.get(path) ?? [])
      found.warning(
        about,
        `it wrote to table ${table}: a read that writes fails on the inactive colour, which may not write`,
        `name the path in application.writes.paths, so that the live colour alone answers it, or do not write there`,
      );
  }
}

/** Starts the services on a database that they may not write to, as on the inactive colour, and asks the same paths again. */
export async function tryReadOnly(
  of: Check,
  artefact: Artefact,
  access: DatabaseAccess,
  paths: readonly string[],
): Promise<void> {
  const { bench, found, definition } = of;
  const about = 'without the right to write';
  const trial = await withOutput(of, () => bench.serve(artefact, access)).catch((error: unknown) => {
    if (!(error instanceof OperationError)) throw error;
    found.error(
      about,
      `a service does not become healthy: ${error.found}`,
      'on the inactive colour it may only read: let it start without writing',
    );
    return undefined;
  });
  if (trial === undefined) return;
  try {
    const ask = await clientOf(trial);
    const live = definition.application.writes.paths;
    const failed: Answered[] = [];
    for (const path of paths) {
      if (live.some((prefix) => path.startsWith(prefix))) continue;
      const answer = await askOnce(ask, path);
      if (answer.status === 0 || answer.status >= 500) failed.push(answer);
    }
    for (const { path, status } of failed)
      found.error(
        `GET ${path}`,
        `${about} it is answered ${status === 0 ? 'not at all' : status}: the canary would show that to users`,
        `name it in application.writes.paths, so that the live colour alone answers it: writes: { paths: ['${path}'] }`,
      );
    if (failed.length === 0) found.ok(about, 'every service is healthy, and the same requests are answered');
  } finally {
    await trial.stop();
  }
}

/** Adds the end of the services' output to the error of a start: there the reason is. */
async function withOutput<T>(of: Check, start: () => Promise<T>): Promise<T> {
  return start().catch(async (error: unknown) => {
    if (!(error instanceof OperationError)) throw error;
    const ends = await Promise.all(
      of.definition.application.services.map(async ({ name }) => {
        const lines = secrets
          .redact(await of.bench.outputOf(name))
          .trim()
          .split('\n')
          .slice(-15)
          .join('\n  ');
        return lines === '' ? '' : `\nlast output of ${name}:\n  ${lines}`;
      }),
    );
    throw new OperationError(error.doing, `${error.found}${ends.join('')}`, cureOf(error), { cause: error });
  });
}

/** The log of a trial is gone with it. */
const cureOf = ({ todo }: OperationError): string =>
  /preview\..*\.log/.test(todo)
    ? 'see that it listens on $HOST:$PORT and that `health` names a path that answers 200'
    : todo;

/** What looks like an error in a line of output. */
const looksWrong = /\b(error|exception|traceback|fatal|panic|unhandled)\b/i;
const harmless = /\b(0|no) errors?\b|error[-_]?(handler|log|page)|errors?=0/i;

async function reportOutput({ bench, found, definition }: Check): Promise<void> {
  for (const { name } of definition.application.services) {
    const lines = secrets.redact(await bench.outputOf(name)).split('\n');
    const wrong = lines.filter((line) => looksWrong.test(line) && !harmless.test(line));
    if (wrong[0] === undefined) continue;
    const more = wrong.length === 1 ? '' : ` (and ${wrong.length - 1} more lines)`;
    found.warning(`output of ${name}`, `${wrong[0].trim().slice(0, 200)}${more}`);
  }
}
