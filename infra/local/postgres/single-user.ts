import { execa } from 'execa';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { programFor } from './programs.ts';
import { unprivileged } from './unprivileged.ts';

/**
 * Runs statements in PostgreSQL's single-user mode, in a data directory that no server uses: without network, login or
 * background workers. Each statement is one line. Stops at the first error. Statements may contain passwords: they are
 * passed through stdin and do not appear in the log or the error.
 */
export async function runSingleUser(data: string, database: string, statements: string[]): Promise<void> {
  const broken = statements.find((statement) => statement.includes('\n'));
  if (broken !== undefined) throw new TypeError('a statement for single-user mode must be one line');
  const settings = [
    'exit_on_error=on',
    'log_min_error_statement=panic',
    'log_checkpoints=off',
    'synchronous_standby_names=',
    'password_encryption=scram-sha-256',
  ];
  const argv = [programFor(data, 'postgres'), '--single', '-D', data, ...settings.flatMap((s) => ['-c', s]), database];
  const [command = '', ...args] = unprivileged(argv, data);
  const result = await execa(command, args, {
    cwd: '/',
    ...bareEnvironment({ LC_ALL: 'C' }),
    input: `${statements.join('\n')}\n`,
    stdout: 'ignore',
    reject: false,
  });
  if (result.exitCode !== 0) {
    throw new OperationError(
      'preparing a database before its first start',
      result.stderr
        .trim()
        .split('\n')
        .filter((line) => /FATAL|PANIC|ERROR/.test(line))
        .join('\n') ||
        (result.message ?? 'no reason given'),
      'check that the disk has space and that no other server uses this directory',
    );
  }
}
