import { messageOf, OperationError } from '../../infra/lib/errors.ts';
import { variablesSetAside } from '../../infra/lib/child-environment.ts';
import { secrets } from '../../infra/lib/redact.ts';
import { compareEverything } from '../data/comparison/everything.ts';
import { describeTarget, openTarget } from '../data/dsn/open.ts';
import { parseDsn } from '../data/dsn/parse.ts';
import { resolve } from '../data/dsn/resolve.ts';
import { comparisonJson, renderComparison } from '../ui/comparison.ts';
import { printError } from '../ui/error.ts';
import { comparisonCodes, exitCodes } from '../ui/exit-codes.ts';
import { painter, wantsColour } from '../ui/text.ts';

export interface CompareOptions {
  json?: boolean;
  /** `public`, or `public.lessons`. */
  schema?: string[];
  table?: string[];
  jobs?: string;
}

/** `npm run compare -- <left> <right>`: rows, large objects, sequences and catalog of any two databases. Changes nothing. */
export async function compare(left: string, right: string, options: CompareOptions): Promise<number> {
  try {
    const [mine, theirs] = [left, right].map((dsn) => resolve(parseDsn(dsn), variablesSetAside())) as [
      ReturnType<typeof resolve>,
      ReturnType<typeof resolve>,
    ];
    const filter = filterOf(options);
    const found = await compareEverything(
      () => openTarget(mine),
      () => openTarget(theirs),
      {
        names: { left: 'left', right: 'right' },
        wanted: filter?.wanted,
        sessions: sessionsOf(options),
        ...(process.stderr.isTTY ? { onProgress: showProgress } : {}),
      },
    );
    filter?.requireFound();
    const sides = { left: describeTarget(mine), right: describeTarget(theirs) };
    const paint = painter(wantsColour({ isTTY: process.stdout.isTTY, env: process.env }));
    const text = options.json === true ? comparisonJson(found, sides) : renderComparison(found, sides, paint);
    process.stdout.write(`${secrets.redact(text)}\n`);
    return comparisonCodes[found.verdict];
  } catch (error) {
    const code = printError(explained(error), process.stderr, process.env);
    return code === exitCodes.problem ? comparisonCodes.unknown : code;
  }
}

/** What a server or a connection says is no defect of this program. */
function explained(error: unknown): unknown {
  const isOwn = error instanceof OperationError || error instanceof TypeError || error instanceof RangeError;
  if (isOwn || !(error instanceof Error)) return error;
  return new OperationError(
    'comparing two databases',
    messageOf(error),
    'nothing was changed; see that both servers run, then repeat',
    { cause: error },
  );
}

/** A name that nothing has would otherwise be compared as equal. */
function filterOf({ schema = [], table = [] }: CompareOptions): Filter | undefined {
  const given = [...table.map((name) => ({ name, of: name })), ...schema.map((name) => ({ name, of: `${name}.` }))];
  if (given.length === 0) return undefined;
  const missing = new Set(given.map(({ name }) => name));
  return {
    wanted(candidate) {
      const matching = given.filter(({ name, of }) => (name === of ? candidate === of : candidate.startsWith(of)));
      for (const { name } of matching) missing.delete(name);
      return matching.length > 0;
    },
    requireFound() {
      if (missing.size === 0) return;
      const found = `neither database has tables or sequences called ${[...missing].join(', ')}`;
      throw new OperationError('comparing some tables', found, 'write them with their schema: public.lessons');
    },
  };
}

interface Filter {
  wanted: (name: string) => boolean;
  requireFound: () => void;
}

function sessionsOf({ jobs }: CompareOptions): number | undefined {
  if (jobs === undefined) return undefined;
  const number = Number(jobs);
  if (Number.isInteger(number) && number >= 1 && number <= 64) return number;
  throw new OperationError(
    'reading the command line',
    '--jobs is no number from 1 to 64',
    'leave it out: it follows from the processors',
  );
}

function showProgress(compared: number, tables: number): void {
  process.stderr.write(compared === tables ? '\r\u001b[K' : `\r${compared} of ${tables} tables\u001b[K`);
}
