// Downloads one file whose checksum is pinned. Either the whole, right file is at `target` afterwards, or nothing is.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { SetupProblem } from './problem.mjs';

/** No answer, or no byte, for so long: give up. Without it a firewall that drops packets would hang the set-up. */
const silenceMs = 15_000;

/**
 * @param {{ url: string, sha256: string, bytes: number }} pinned
 * @param {string} target absolute path; its folder exists
 * @param {{ silenceMs?: number }} [limits]
 * @throws SetupProblem where it cannot be reached, is cut off, or is not the pinned file
 */
export async function download({ url, sha256, bytes }, target, limits = {}) {
  const doing = `downloading ${url}`;
  const part = `${target}.part`;
  const hash = createHash('sha256');
  const abort = new AbortController();
  const limit = limits.silenceMs ?? silenceMs;
  let timer;
  const alive = () => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(new Error(`nothing came for ${limit / 1000} s`)), limit);
  };
  let received = 0;
  try {
    alive();
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok || response.body === null) throw new Error(`the server answered ${response.status}`);
    const measure = new Transform({
      transform(chunk, _encoding, done) {
        alive();
        received += chunk.length;
        hash.update(chunk);
        done(received > bytes ? new Error(`it is longer than the ${bytes} bytes that are pinned`) : null, chunk);
      },
    });
    await pipeline(Readable.fromWeb(response.body), measure, createWriteStream(part), { signal: abort.signal });
    if (received < bytes) throw new Error(`cut off after ${received} of ${bytes} bytes`);
    const got = hash.digest('hex');
    if (got !== sha256)
      throw new Error(`its SHA-256 is ${got}, pinned is ${sha256}: it is not the file that was published`);
    await rename(part, target);
  } catch (error) {
    await rm(part, { force: true });
    throw new SetupProblem(doing, reason(error, received, bytes), 'Check the network (a proxy?) and run it again.');
  } finally {
    clearTimeout(timer);
  }
}

/** What went wrong underneath: fetch says only "fetch failed", a closed socket only "terminated". */
function reason(error, received, bytes) {
  if (error.message === 'terminated' || error.cause?.code === 'UND_ERR_SOCKET') {
    return `cut off after ${received} of ${bytes} bytes`;
  }
  if (error.name === 'AbortError') return error.cause?.message ?? error.message;
  return error.cause?.code ?? error.cause?.message ?? error.message;
}
