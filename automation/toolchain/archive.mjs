// Downloads official archives and verifies their SHA-256.
import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { SetupProblem, Unreachable } from './problem.mjs';
import { get } from './request.mjs';

/** Longest wait for an answer. Short, because the alternative, a build, takes minutes itself. */
const answerMs = 5_000;
/** A download without data for this long is aborted. */
const silenceMs = 15_000;
/** Limits of a download of unknown size, larger than any of the archives: a faulty server must not fill the disk. */
const mostBytes = 2 ** 30;
const mostChecksums = 2 ** 20;

const network = 'Check the network, HTTPS_PROXY and GREENLIGHT_MIRROR, and run it again.';
const suspicious =
  'Nothing of it was installed. Try another network, or without the mirror. If it happens again, do not install this file by hand: report it.';

/**
 * The archive of `source` for `platform`; undefined if none is published. With GREENLIGHT_MIRROR its address is
 * `<mirror>/<host>/<path>`, as `wget -x` stores files.
 */
export function archiveOf(source, platform = `${process.platform}-${process.arch}`) {
  const file = source.files[platform] ?? source.files.any;
  if (file === undefined) return undefined;
  const address = (name) => mirrored(new URL(name, source.from));
  const checksums = source.checksums === undefined ? undefined : address(source.checksums);
  return { ...file, url: address(file.name), checksums };
}

function mirrored(url) {
  const mirror = process.env['GREENLIGHT_MIRROR'];
  if (mirror === undefined || mirror === '') return url;
  if (!/^https?:\/\//.test(mirror) || !URL.canParse(mirror)) {
    throw new SetupProblem('reading GREENLIGHT_MIRROR', `"${mirror}" is not an address`, 'Use https://<host>/<path>.');
  }
  return new URL(`${mirror.replace(/\/+$/, '')}/${url.host}${url.pathname}`);
}

/** An address for messages, without a user name and a password. */
const shown = ({ origin, pathname }) => origin + pathname;

/** The cause of an error; of an abort its reason. */
const reason = (error) => error.cause?.message ?? error.code ?? error.message;

/** The SHA-256 of an archive in the publisher's checksums file. */
export async function publishedDigest({ name, checksums }, signal) {
  const response = await get(checksums, signal);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk;
    if (text.length > mostChecksums) break;
  }
  for (const line of text.split('\n')) {
    const [, digest, file] = /^([0-9a-f]{64}) [ *](?:\.\/)?(\S+)\s*$/i.exec(line) ?? [];
    if (file === name) return digest.toLowerCase();
  }
  throw new SetupProblem(`reading ${shown(checksums)}`, `it names no ${name}`, suspicious);
}

/**
 * Requests an archive, and its published digest if none is pinned. The body of the response is not read yet.
 * @param {{ answerMs?: number }} [limits]
 * @throws Unreachable without an answer in time; SetupProblem if no digest is published
 */
export async function openArchive(archive, limits = {}) {
  const limit = limits.answerMs ?? answerMs;
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new Error(`no answer within ${limit / 1000} s`)), limit);
  try {
    const digest = archive.sha256 ?? publishedDigest(archive, stop.signal);
    const [response, sha256] = await Promise.all([get(archive.url, stop.signal), digest]);
    return { archive, response, sha256 };
  } catch (error) {
    stop.abort();
    if (error instanceof SetupProblem) throw error;
    throw new Unreachable(`downloading ${shown(archive.url)}`, reason(error), network);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Writes an opened archive to `target`. Afterwards the complete, verified file exists, or none.
 * @param {{ silenceMs?: number }} [limits]
 * @throws Unreachable if the download is cut off; SetupProblem if it is not the published file
 */
export async function storeArchive({ archive, response, sha256 }, target, limits = {}) {
  const doing = `downloading ${shown(archive.url)}`;
  const limit = limits.silenceMs ?? silenceMs;
  const whole = archive.bytes ?? (Number(response.headers['content-length']) || undefined);
  const most = archive.bytes ?? mostBytes;
  const hash = createHash('sha256');
  const file = await open(target, 'w');
  const silence = setTimeout(() => response.destroy(new Error(`nothing came for ${limit / 1000} s`)), limit);
  let received = 0;
  try {
    for await (const chunk of response) {
      silence.refresh();
      received += chunk.length;
      if (received > most) throw new SetupProblem(doing, `it is longer than ${most} bytes`, suspicious);
      hash.update(chunk);
      await write(file, chunk, doing);
    }
    if (received < whole) throw new Error('the connection was closed');
    const got = hash.digest('hex');
    if (got !== sha256) {
      const by = archive.sha256 === undefined ? `${shown(archive.checksums)} says` : 'pinned is';
      throw new SetupProblem(doing, `its SHA-256 is ${got}, ${by} ${sha256}: it is not the published file`, suspicious);
    }
  } catch (error) {
    await rm(target, { force: true });
    if (error instanceof SetupProblem) throw error;
    const sizes = `cut off after ${received} of ${whole ?? '?'} bytes (${reason(error)})`;
    throw new Unreachable(doing, sizes, network);
  } finally {
    clearTimeout(silence);
    response.destroy();
    await file.close();
  }
}

const write = (file, chunk, doing) =>
  file.write(chunk).catch((error) => {
    throw new SetupProblem(doing, `writing it: ${error.code}`, 'Free disk space, and run it again.');
  });
