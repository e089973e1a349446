import { OperationError } from '../../infra/errors.ts';
import { LeaseHeldError } from '../../infra/shared.ts';
import { secrets } from '../release/redact.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { oneLine, pad, painter, wantsColour, type Environment, type Paint } from './text.ts';

/**
 * Writes an error for a person and returns the exit code that it means. An OperationError is three lines; anything else
 * is a defect of Greenlight. Stack traces only with DEBUG=greenlight.
 */
export function printError(
  error: unknown,
  stderr: NodeJS.WritableStream & { isTTY?: boolean },
  env: Environment,
): ExitCode {
  const paint = painter(wantsColour({ isTTY: stderr.isTTY ?? false, env }));
  const debug = (env['DEBUG'] ?? '').split(',').includes('greenlight');
  stderr.write(`${secrets.redact(renderError(error, paint, debug))}\n`);
  if (error instanceof LeaseHeldError) return exitCodes.locked;
  return error instanceof OperationError ? exitCodes.problem : exitCodes.bug;
}

export function renderError(error: unknown, paint: Paint, debug: boolean): string {
  const stack = debug && error instanceof Error ? [error.stack ?? '', ...causes(error)] : [];
  if (error instanceof OperationError) {
    return [
      `${paint('bad', '✕')} ${oneLine(error.doing)}`,
      ...labelled('found:', error.found, paint),
      ...labelled('to do:', error.todo, paint),
      ...stack,
    ].join('\n');
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return [
    paint('bad', '! This is a defect of Greenlight'),
    ...labelled('found:', message, paint),
    ...labelled('to do:', 'look at what is live (npm run status), and go on with: npm run resume', paint),
    ...labelled('', 'to report it, run it with DEBUG=greenlight and add the journal of the release', paint),
    ...stack,
  ].join('\n');
}

/** A text of several lines, such as a list of wrong keys, keeps them. */
function labelled(label: string, text: string, paint: Paint): string[] {
  const [first = '', ...rest] = text.split('\n').map((line) => oneLine(line));
  return [
    `  ${paint('soft', pad(label, 6))} ${first}`,
    ...rest.filter((line) => line !== '').map((line) => `         ${line}`),
  ];
}

function causes(error: Error): string[] {
  return error.cause instanceof Error
    ? [`caused by ${error.cause.stack ?? error.cause.message}`, ...causes(error.cause)]
    : [];
}
