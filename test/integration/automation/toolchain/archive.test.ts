import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { archiveOf, openArchive, storeArchive, type Source } from '../../../../automation/toolchain/archive.mjs';
import { Unreachable } from '../../../../automation/toolchain/problem.mjs';

const digestOf = (content: Buffer) => createHash('sha256').update(content).digest('hex');

describe('an official archive', () => {
  const content = Buffer.alloc(300_000, 'greenlight ');
  const sha256 = digestOf(content);
  let directory: string;
  let server: Server;
  let base: string;
  let answers: Record<string, RequestListener>;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-archive-'));
    answers = { '/tool.tar.gz': (_request, response) => response.end(content) };
    server = createServer((request, response) => {
      const answer = answers[request.url ?? ''];
      if (answer === undefined) response.writeHead(404).end();
      else answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true, force: true });
  });

  const target = () => join(directory, 'tool.tar.gz');
  const file = { name: 'tool.tar.gz', program: 'tool/tool' };
  const sourceOf = (pinned: object, checksums?: string): Source => ({
    from: base,
    ...(checksums === undefined ? {} : { checksums }),
    files: { any: { ...file, ...pinned } },
  });

  async function download(source: Source): Promise<void> {
    const archive = archiveOf(source);
    if (archive === undefined) throw new Error('no archive for this platform');
    await storeArchive(await openArchive(archive, { answerMs: 300 }), target(), { silenceMs: 300 });
  }

  /** How it failed; also checks that nothing is left behind. */
  async function failure(source: Source): Promise<Error> {
    const error = await download(source).then(
      () => expect.fail('it was accepted'),
      (reason: Error) => reason,
    );
    expect(await readdir(directory)).to.deep.equal([]);
    return error;
  }
  /** It may be built instead. */
  async function unreachable(source: Source): Promise<string> {
    const error = await failure(source);
    expect(error).to.be.instanceOf(Unreachable);
    return error.message;
  }
  /** It must not be built instead: somebody has to hear of it. */
  async function refused(source: Source): Promise<string> {
    const error = await failure(source);
    expect(error).not.to.be.instanceOf(Unreachable);
    return error.message;
  }

  it('is stored whole where its digest is the pinned one', async () => {
    await download(sourceOf({ sha256 }));
    expect((await readFile(target())).equals(content)).to.equal(true);
  });

  it('is stored where its digest is that of the checksums file', async () => {
    answers['/sums.txt'] = (_request, response) =>
      response.end(`${'0'.repeat(64)}  tool.tar.gz.asc\n${sha256}  tool.tar.gz\n`);
    await download(sourceOf({}, 'sums.txt'));
    expect((await readFile(target())).equals(content)).to.equal(true);
  });

  it('is judged by the pinned digest, whatever a checksums file says', async () => {
    answers['/tool.tar.gz'] = (_request, response) => response.end('something else');
    answers['/sums.txt'] = (_request, response) =>
      response.end(`${digestOf(Buffer.from('something else'))}  tool.tar.gz\n`);
    expect(await refused(sourceOf({ sha256 }, 'sums.txt'))).to.include(`pinned is ${sha256}`);
  });

  it('is refused with another digest than the checksums file has', async () => {
    answers['/sums.txt'] = (_request, response) => response.end(`${'0'.repeat(64)} *tool.tar.gz\n`);
    expect(await refused(sourceOf({}, 'sums.txt'))).to.include(`sums.txt says ${'0'.repeat(64)}`);
  });

  it('is refused where the checksums file does not name it', async () => {
    answers['/sums.txt'] = (_request, response) => response.end(`${sha256}  other-tool.tar.gz\n`);
    expect(await refused(sourceOf({}, 'sums.txt'))).to.include('it names no tool.tar.gz');
  });

  it('is not taken unchecked where the checksums file is not there', async () => {
    expect(await unreachable(sourceOf({}, 'sums.txt'))).to.include('the server answered 404');
  });

  it('is refused where it is longer than pinned, without reading on', async () => {
    answers['/tool.tar.gz'] = (_request, response) => {
      response.write(content);
      response.write(content);
    };
    expect(await refused(sourceOf({ sha256, bytes: content.length }))).to.include('longer than 300000 bytes');
  });

  it('is not had where it is cut off, with an announced and with a pinned length', async () => {
    answers['/tool.tar.gz'] = (_request, response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 1000), () => response.destroy());
    };
    expect(await unreachable(sourceOf({ sha256 }))).to.match(/cut off after \d+ of 300000 bytes/);
    answers['/tool.tar.gz'] = (_request, response) => response.end(content.subarray(0, 1000));
    const short = await unreachable(sourceOf({ sha256, bytes: content.length }));
    expect(short).to.include('cut off after 1000 of 300000 bytes');
  });

  it('is not had from a server that falls silent', async () => {
    answers['/tool.tar.gz'] = (_request, response) => response.write(content.subarray(0, 1000));
    expect(await unreachable(sourceOf({ sha256 }))).to.include('nothing came for 0.3 s');
  });

  it('is not had from a server that does not answer in time', async () => {
    answers['/tool.tar.gz'] = () => undefined;
    expect(await unreachable(sourceOf({ sha256 }))).to.include('no answer within 0.3 s');
  });

  it('is not had from a server that does not have it, or cannot be reached', async () => {
    delete answers['/tool.tar.gz'];
    expect(await unreachable(sourceOf({ sha256 }))).to.include('the server answered 404');
    await new Promise((resolve) => server.close(resolve));
    expect(await unreachable(sourceOf({ sha256 }))).to.include('ECONNREFUSED');
    server.listen(0, '127.0.0.1');
  });

  it('is followed to where a release keeps it, but not in a circle', async () => {
    answers['/moved.tar.gz'] = answers['/tool.tar.gz'] as RequestListener;
    answers['/tool.tar.gz'] = (_request, response) => response.writeHead(302, { location: 'moved.tar.gz' }).end();
    await download(sourceOf({ sha256 }));
    await rm(target());
    answers['/tool.tar.gz'] = (_request, response) => response.writeHead(302, { location: 'tool.tar.gz' }).end();
    expect(await unreachable(sourceOf({ sha256 }))).to.include('redirects too often');
  });
});
