import type { EntryPoint } from '../../../infra/platform/router.ts';
import { check, type Measurement } from '../../journal/verdict.ts';
import { clientOf } from './http-client.ts';

/** What a path answered to GET. Undefined: no answer, and `why`. */
export interface RouteAnswer {
  path: string;
  status: number | undefined;
  why?: string;
}

/** Asks each path once by GET. Redirects are not followed, and no body is read: it may be a stream without an end. */
export async function askRoutes(
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>,
  headers: Record<string, string>,
  paths: readonly string[],
): Promise<RouteAnswer[]> {
  const ask = await clientOf(entry, headers);
  const answers: RouteAnswer[] = [];
  for (const path of paths) {
    answers.push(
      await ask(path, { headOnly: true }).then(
        ({ status }) => ({ path, status }),
        (error: Error) => ({ path, status: undefined, why: error.message }),
      ),
    );
  }
  return answers;
}

const showStatus = ({ status }: RouteAnswer): string => (status === undefined ? 'no answer' : `${status}`);

/**
 * Of the paths that a load without a script is to ask, those that answer at all. One that answers 4xx or 5xx on the first ask says
 * nothing about load: it is left out and named. None left is inconclusive.
 */
export async function pathsToLoad(
  entry: Pick<EntryPoint, 'baseUrl' | 'caFile'>,
  headers: Record<string, string>,
  paths: readonly string[],
): Promise<{ paths: string[]; leftOut: string; measurement: Measurement }> {
  const answers = await askRoutes(entry, headers, paths);
  const answered = answers.filter(({ status }) => status !== undefined && status < 400);
  const others = answers.filter((answer) => !answered.includes(answer));
  const leftOut = others.map((answer) => `${answer.path} (${showStatus(answer)})`).join(', ');
  const told = leftOut === '' ? '' : `; left out: ${leftOut}`;
  const base = { name: 'paths asked', measured: `${answered.length} of ${answers.length}${told}`, wanted: '>= 1' };
  const note = 'No path answers GET below 400: give load.paths, or a script of your own (load.script).';
  return {
    paths: answered.map(({ path }) => path),
    leftOut,
    measurement: answered.length > 0 ? { ...base, verdict: 'pass' } : { ...base, verdict: 'inconclusive', note },
  };
}

/**
 * Judges the answers of a version beside those of the version that is live: 5xx and no answer fail, and so does another class of
 * status than the live version's. Where nothing is live, below 500 passes.
 */
export function judgeRoutes(answers: readonly RouteAnswer[], live?: readonly RouteAnswer[]): Measurement[] {
  return answers.map((answer) => {
    const { path, status, why } = answer;
    const beside = live?.find((other) => other.path === path);
    const measured = `${showStatus(answer)}${beside === undefined ? '' : ` (live version: ${showStatus(beside)})`}`;
    const name = `GET ${path}`;
    if (status === undefined || status >= 500)
      return check(name, 'below 500', measured, false, why ?? 'The version cannot answer this route.');
    if (beside?.status === undefined || beside.status >= 500) return check(name, 'below 500', measured, true);
    const same = Math.floor(status / 100) === Math.floor(beside.status / 100);
    const wanted = `${Math.floor(beside.status / 100)}xx, as the live version`;
    return check(name, wanted, measured, same, 'The live version answers this route in another way.');
  });
}
