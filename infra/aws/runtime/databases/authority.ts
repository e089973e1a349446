import { X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { messageOf, OperationError } from '../../../lib/errors.ts';
import { replaceFile } from '../../../lib/atomic-file.ts';
import { home, projectRoot } from '../../../lib/paths.ts';
import type { AwsSettings } from '../../lib/settings.ts';

/**
 * RDS's certificate authorities of all regions: "Using SSL/TLS to encrypt a connection to a DB instance" in the RDS
 * guide.
 */
export const rdsBundleUrl = 'https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem';

const downloadMs = 30_000;

const certificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Throws an Error if the text holds no certificate in PEM. */
export function checkPem(text: string): void {
  const found = text.match(certificate) ?? [];
  if (found.length === 0) throw new Error('it holds no certificate in PEM');
  for (const pem of found) new X509Certificate(pem);
}

export interface AuthorityOptions {
  url?: string;
  /** Directory for the downloaded file. */
  directory?: string;
}

/**
 * Path of the PEM file with the databases' authorities: the one in the settings, else RDS's own, downloaded once.
 * Rejects with an OperationError if there is none.
 */
export async function databaseAuthority(
  { authorities }: Pick<AwsSettings, 'authorities'>,
  { url = rdsBundleUrl, directory = join(home(), 'aws') }: AuthorityOptions = {},
): Promise<string> {
  if (authorities.databases !== undefined) return given(resolve(projectRoot(), authorities.databases));
  const file = join(directory, 'rds-global-bundle.pem');
  if (await isPem(file)) return file;
  const doing = `downloading the authorities of RDS from ${url}`;
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(downloadMs) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const text = await answer.text();
    checkPem(text);
    await put(file, directory, text);
    return file;
  } catch (error) {
    const todo = `check that the network is up, or download it yourself and name it in authorities.databases (aws)`;
    throw new OperationError(doing, reasonOf(error), todo, { cause: error });
  }
}

async function given(file: string): Promise<string> {
  try {
    checkPem(await readFile(file, 'utf8'));
    return file;
  } catch (error) {
    throw new OperationError(`reading ${file}`, messageOf(error), 'correct authorities.databases (aws)', {
      cause: error,
    });
  }
}

const isPem = (file: string): Promise<boolean> =>
  readFile(file, 'utf8')
    .then(checkPem)
    .then(
      () => true,
      () => false,
    );

/** Written atomically: a partial file could pass for the whole. */
async function put(file: string, directory: string, text: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await replaceFile(file, text, { mode: 0o644 });
}

/** `fetch` rejects with "fetch failed"; only its cause says why. */
const reasonOf = (error: unknown): string =>
  error instanceof Error && error.cause instanceof Error ? error.cause.message : messageOf(error);
