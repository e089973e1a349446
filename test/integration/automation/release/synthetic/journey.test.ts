import { mkdirSync, readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import type { ReleaseContext, Running } from '../../../../../automation/release/context/context.ts';
import { startJourney, type Journey } from '../../../../../automation/release/synthetic/journey.ts';
import { journeyHasBegun, readRuns, runDirectory } from '../../../../../automation/release/synthetic/runs.ts';
import { keepTrafficUp } from '../../../../../automation/release/synthetic/synthetic.ts';
import { closeAll, scratchDirectory, serveHttp } from '../../gates/gate-harness.ts';

const plain = join(import.meta.dirname, 'fixtures', 'plain.ts');
const broken = join(import.meta.dirname, 'fixtures', 'broken.ts');
const onLibrary = join(import.meta.dirname, '../../gates/load/fixtures/journey.ts');

describe('marked traffic with k6', () => {
  const scratch = scratchDirectory();
  const open: Server[] = [];
  let running: Running | undefined;
  let asked: string[];
  let release: string;
  let count = 0;

  beforeEach(() => {
    asked = [];
    release = join(scratch, String((count += 1)));
  });
  afterEach(async () => {
    await running?.stop();
    running = undefined;
    await closeAll(open);
  });

  const serving = (answer: RequestListener = (_, response) => void response.end('{}')) =>
    serveHttp((request, response) => {
      asked.push(request.url ?? '');
      answer(request, response);
    }, open);

  async function journey(script: string, answer?: RequestListener): Promise<Journey> {
    const directory = runDirectory(release, 1);
    mkdirSync(directory, { recursive: true });
    const entry = { baseUrl: await serving(answer) };
    const started = startJourney({ script, requestsPerSecond: 40, entry, directory });
    running = started;
    return started;
  }

  /** Of a release only what marked traffic uses. */
  const context = (script: string, baseUrl: string): ReleaseContext =>
    ({
      directory: release,
      signal: new AbortController().signal,
      definition: { synthetic: { script, requestsPerSecond: 40 } },
      connect: () => Promise.resolve({ router: { entry: { baseUrl } }, metrics: { delayMs: 0 } }),
      traffic: {
        async start(begin: () => Promise<Running>) {
          running = await begin();
        },
      },
    }) as unknown as ReleaseContext;

  it('is up when its first write was made, not when k6 was started', async () => {
    await keepTrafficUp(context(onLibrary, await serving()));
    expect(asked.some((url) => url.startsWith('/write'))).to.equal(true);
  });

  it('is up so with a script that does not use the library', async () => {
    await keepTrafficUp(context(plain, await serving()));
    expect(asked).to.contain('/write');
  });

  it('is an error where k6 ends before, with its words, and leaves nothing running', async () => {
    const error: unknown = await keepTrafficUp(context(broken, await serving())).catch((reason: unknown) => reason);
    expect(error).to.be.instanceOf(OperationError);
    expect((error as OperationError).found).to.equal(
      'k6 ended before the first write of its journey (exit code 107): Error: nobody could sign up: status 503',
    );
    // Written when the run is stopped.
    const file = join(runDirectory(join(release, 'evidence'), 1), 'asked.json');
    expect(JSON.parse(readFileSync(file, 'utf8'))).to.have.property('to');
  });

  it('is not waited for beyond the limit where no write is made: the gates judge that', async () => {
    const started = await journey(plain, (_, response) => void response.writeHead(404).end());
    await started.begun(new AbortController().signal, 500);
    expect(await journeyHasBegun(runDirectory(release, 1))).to.equal(false);
  });

  it('has a refused write for refused: it is not sent again, and nobody looks for it in the database', async () => {
    let refuses = false;
    const answered: number[] = [];
    const started = await journey(onLibrary, (request, response) => {
      const refused = refuses && request.method === 'POST';
      if (refused) {
        answered.push(Date.now());
        response.writeHead(503, { 'retry-after': '10', 'x-greenlight-writes': 'refused' });
      }
      response.end('{}');
    });
    await started.begun(new AbortController().signal);
    const from = Date.now();
    refuses = true;
    while (answered.length < 10) await sleep(20);
    refuses = false;
    const sent = asked.length;
    while (asked.length < sent + 20) await sleep(20);
    const to = Date.now();
    await started.stop();
    const writes = asked.filter((url) => url.startsWith('/write'));
    expect(writes).to.have.length(new Set(writes).size);
    const windows = [{ from, to }];
    const { requests, acknowledged, unknown, failures } = await readRuns(release, {
      windows,
      writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] },
    });
    expect({ ...requests, total: 0 }).to.deep.equal({ total: 0, failed: 0, refused: answered.length });
    expect([unknown, failures]).to.deep.equal([0, []]);
    expect(acknowledged).to.be.within(writes.length - answered.length - 1, writes.length - answered.length);
    // The same log, of a release that announced nothing.
    expect((await readRuns(release)).requests).to.include({ failed: answered.length });
  });

  it('is not waited for once the release is interrupted', async () => {
    const interrupted = new AbortController();
    // No answer: k6 stays in its set-up.
    const started = await journey(plain, () => interrupted.abort());
    const error: unknown = await started.begun(interrupted.signal).catch((reason: unknown) => reason);
    expect(error).to.have.property('name', 'AbortError');
    expect(asked).to.deep.equal(['/setup']);
  });
});
