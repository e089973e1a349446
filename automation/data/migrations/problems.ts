import { OperationError } from '../../../infra/lib/errors.ts';

/** Why a file of a migrations directory cannot be run as a migration. */
export interface FileProblem {
  file: string;
  line?: number;
  found: string;
  todo: string;
}

/** Throws an OperationError that names every problem, if there is one. */
export function refuseProblems(problems: readonly FileProblem[]): void {
  const [first, ...more] = problems;
  if (first === undefined) return;
  if (more.length === 0) throw new OperationError(`reading the migration ${placeOf(first)}`, first.found, first.todo);
  const found = problems.map((problem) => `\n  ${placeOf(problem)}: ${problem.found}; ${problem.todo}`).join('');
  throw new OperationError(
    'reading the migrations',
    `${problems.length} problems${found}`,
    'correct these, then repeat',
  );
}

export const placeOf = ({ file, line }: Pick<FileProblem, 'file' | 'line'>): string =>
  line === undefined ? file : `${file}:${line}`;
