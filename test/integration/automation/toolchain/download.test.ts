import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { download } from '../../../../automation/toolchain/download.mjs';

describe('downloading a pinned file', () => {
  const content = Buffer.alloc(300_000, 'greenlight ');
  const pinned = { sha256: createHash('sha256').update(content).digest('hex'), bytes: content.length };
  let directory: string;
  let server: Server;
  let base: string;
  let answer: (response: ServerResponse) => void;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-download-'));
    server = createServer((_request, response) => answer(response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tool.tar.gz`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true, force: true });
  });

  const target = () => join(directory, 'tool.tar.gz');

  /** The message of the failure; also checks that nothing is left behind. */
  async function failure(expected: Partial<typeof pinned> = {}, url = base): Promise<string> {
    const message = await download({ url, ...pinned, ...expected }, target(), { silenceMs: 300 }).then(
      () => expect.fail('it was accepted'),
      (error: Error) => error.message,
    );
    expect(await readdir(directory)).to.deep.equal([]);
    expect(message).to.include(`downloading ${url}`);
    return message;
  }

  it('stores a file with the right checksum, whole and under its name', async () => {
    answer = (response) => response.end(content);
    await download({ url: base, ...pinned }, target());
    expect(await readdir(directory)).to.deep.equal(['tool.tar.gz']);
    expect((await readFile(target())).equals(content)).to.equal(true);
  });

  it('refuses a file with another checksum', async () => {
    answer = (response) => response.end(Buffer.alloc(content.length, 'x'));
    expect(await failure()).to.include(`pinned is ${pinned.sha256}`);
  });

  it('refuses one that is cut off, with and without an announced length', async () => {
    answer = (response) => {
      response.writeHead(200, { 'content-length': content.length });
      response.write(content.subarray(0, 1000), () => response.destroy());
    };
    expect(await failure()).to.match(/cut off after \d+ of 300000 bytes/);
    answer = (response) => response.end(content.subarray(0, 1000));
    expect(await failure()).to.include('cut off after 1000 of 300000 bytes');
  });

  it('refuses one that is too long, without reading on', async () => {
    answer = (response) => response.end(Buffer.concat([content, content]));
    expect(await failure()).to.include('longer than the 300000 bytes');
  });

  it('gives up on a server that falls silent', async () => {
    answer = (response) => response.write(content.subarray(0, 1000));
    expect(await failure()).to.include('nothing came for 0.3 s');
  });

  it('says what a server answered that does not have it', async () => {
    answer = (response) => response.writeHead(404).end();
    expect(await failure()).to.include('the server answered 404');
  });

  it('says that a server cannot be reached', async () => {
    const port = (server.address() as AddressInfo).port;
    await new Promise((resolve) => server.close(resolve));
    expect(await failure({}, `http://127.0.0.1:${port}/x`)).to.include('ECONNREFUSED');
    server.listen(0, '127.0.0.1');
  });
});
