import { readFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { execa } from 'execa';
import { callersEnvironment, variablesSetAside } from '../../../infra/lib/child-environment.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import { projectRoot } from '../../../infra/lib/paths.ts';
import { secrets } from '../../../infra/lib/redact.ts';
import type { EnvironmentName } from '../../../infra/model.ts';
import type { SecretSource } from '../../config/schema-secrets.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';

/** Reads the secrets of the application from where the definition says that they are. No message has a value. */

/** Longest value in bytes: a longer string cannot be in the environment of a program (Linux, MAX_ARG_STRLEN). */
const longest = 100_000;

type Definition = Pick<ReleaseDefinition, 'application' | 'environments'>;

/** The sources of an environment, by name: its own replace those of the application. */
export const sourcesOf = (
  { application, environments }: Definition,
  environment: EnvironmentName,
): Record<string, SecretSource> => ({ ...application.secrets, ...environments[environment].secrets });

/** A source in words. */
export function describeSource(source: SecretSource): string {
  if (source.from === 'file') return `the file ${source.path}`;
  return source.from === 'env' ? `the variable ${source.variable}` : `the command ${source.command.join(' ')}`;
}

/** A value that was read, or why it was not and what to do. */
export type SecretRead = { value: string } | { problem: string };

/** Reads one source. The value is known to the redactor from then on. One newline at its end is removed. */
export async function readSource(source: SecretSource): Promise<SecretRead> {
  const found = await bytesOf(source);
  if ('problem' in found) return found;
  const what = describeSource(source);
  if (found.bytes.length > longest)
    return { problem: `${what} has more than ${longest} bytes, which no variable can hold` };
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(found.bytes);
  } catch {
    return { problem: `${what} is not UTF-8; encode it, for example with base64` };
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') return { problem: `${what} is empty; give it a value` };
  secrets.register(value);
  return value.includes('\0') ? { problem: `${what} contains NUL, which no variable can hold` } : { value };
}

type Bytes = { bytes: Uint8Array } | { problem: string };

async function bytesOf(source: SecretSource): Promise<Bytes> {
  if (source.from === 'command') return run(source);
  if (source.from === 'file') return read(isAbsolute(source.path) ? source.path : join(projectRoot(), source.path));
  const value = process.env[source.variable] ?? variablesSetAside()[source.variable];
  if (value !== undefined) return { bytes: Buffer.from(value) };
  return { problem: `${describeSource(source)} is not set; set it where you call Greenlight` };
}

async function read(path: string): Promise<Bytes> {
  try {
    return { bytes: await readFile(path) };
  } catch (error) {
    const { code = 'unreadable' } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { problem: `there is no file ${path}; write it` };
    return { problem: `the file ${path} cannot be read (${code}); make it readable for you` };
  }
}

async function run(source: Extract<SecretSource, { from: 'command' }>): Promise<Bytes> {
  const [program = '', ...args] = source.command;
  const result = await execa(program, args, {
    ...callersEnvironment(),
    cwd: projectRoot(),
    reject: false,
    stdin: 'ignore',
    encoding: 'buffer',
    stripFinalNewline: false,
    timeout: source.timeoutSeconds * 1000,
    maxBuffer: 2 * longest,
  });
  if (!result.failed) return { bytes: result.stdout };
  const ended =
    result.exitCode === undefined
      ? `could not be run (${result.code ?? result.signal ?? 'ended'})`
      : `ended with exit code ${result.exitCode}`;
  const how = result.timedOut ? `took longer than ${source.timeoutSeconds} s` : ended;
  return { problem: `${describeSource(source)} ${how}; run it by hand to see why` };
}

/**
 * The values of all secrets, by environment. Each source is read once. Rejects with an OperationError that names every secret that
 * cannot be read.
 */
export async function readSecrets(
  definition: Definition,
  environments: readonly EnvironmentName[],
): Promise<Map<EnvironmentName, Record<string, string>>> {
  const reads = new Map<SecretSource, Promise<SecretRead>>();
  const values = new Map<EnvironmentName, Record<string, string>>();
  const problems: string[] = [];
  for (const environment of environments) {
    const found: Record<string, string> = {};
    for (const [name, source] of Object.entries(sourcesOf(definition, environment))) {
      const reading = reads.get(source) ?? readSource(source);
      reads.set(source, reading);
      const result = await reading;
      if ('value' in result) found[name] = result.value;
      else problems.push(`\n  ${name} of ${environment}: ${result.problem}`);
    }
    values.set(environment, found);
  }
  if (problems.length === 0) return values;
  const count = problems.length === 1 ? 'one cannot be read' : `${problems.length} cannot be read`;
  throw new OperationError(
    'reading the secrets of the application',
    `${count}${problems.join('')}`,
    'nothing was changed. Correct this, then run it again',
  );
}
