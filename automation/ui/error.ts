import { greenlight } from '../../infra/lib/command.ts';
import { OperationError } from '../../infra/lib/errors.ts';
import { LeaseHeldError } from '../../infra/platform/lease.ts';
import { secrets } from '../../infra/lib/redact.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { columnsOf, oneLine, pad, painter, wantsColour, wrap, type Environment, type Paint } from './text.ts';

/**
 * Writes an error to stderr and returns its exit code. An OperationError is shown as doing, found and to do. Any other
 * error is reported as a defect of Greenlight. Stack traces are added with DEBUG=greenlight.
 */
export function printError(
  error: unknown,
  stderr: NodeJS.WritableStream & { isTTY?: boolean; columns?: number },
  env: Environment,
): ExitCode {
  const paint = painter(wantsColour({ isTTY: stderr.isTTY ?? false, env }));
  const debug = (env['DEBUG'] ?? '').split(',').includes('greenlight');
  stderr.write(`${secrets.redact(renderError(error, paint, debug, columnsOf(stderr)))}\n`);
  if (error instanceof LeaseHeldError) return exitCodes.locked;
  return error instanceof OperationError ? exitCodes.problem : exitCodes.bug;
}

/** `columns`: width of the terminal. Without it no line is broken. */
export function renderError(error: unknown, paint: Paint, debug: boolean, columns = Infinity): string {
  const stack = debug && error instanceof Error ? [error.stack ?? '', ...causes(error)] : [];
  const labelled = (label: string, text: string): string[] => withLabel(label, text, paint, columns);
  if (error instanceof OperationError) {
    return [
      ...wrap(oneLine(secrets.redact(error.doing)), columns - 2, '').map(
        (line, i) => `${i === 0 ? paint('bad', '✕') : ' '} ${line}`,
      ),
      ...labelled('found:', error.found),
      ...labelled('to do:', error.todo),
      ...stack,
    ].join('\n');
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return [
    paint('bad', '! This is a defect of Greenlight'),
    ...labelled('found:', message),
    ...labelled('to do:', `see what is live: ${greenlight('status')}; then continue: ${greenlight('resume')}`),
    ...labelled('', 'to report it, run it with DEBUG=greenlight and add the journal of the release'),
    ...stack,
  ].join('\n');
}

const labelWidth = 9;

/** Line breaks of the text are kept. Secrets are masked before wrapping, which could split a secret. */
function withLabel(label: string, text: string, paint: Paint, columns: number): string[] {
  const lines = secrets
    .redact(text)
    .split('\n')
    .flatMap((line) => wrap(oneLine(line), columns - labelWidth, '  '));
  return (lines.length === 0 ? [''] : lines).map((line, index) =>
    index === 0 ? `  ${paint('soft', pad(label, 6))} ${line}` : `${' '.repeat(labelWidth)}${line}`,
  );
}

function causes(error: Error): string[] {
  return error.cause instanceof Error
    ? [`caused by ${error.cause.stack ?? error.cause.message}`, ...causes(error.cause)]
    : [];
}
