import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { describeOrigin } from '../../../../automation/toolchain/origin.mjs';
import { build, builds, type CopiedProject, copyProject, goThatBuilds } from './project.ts';

const execute = promisify(execFile);
const portOf = (server: Server) => (server.address() as AddressInfo).port;
const listening = (server: Server) => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** The whole way, from a mirror on this machine. */
describe('the set-up with official binaries', () => {
  const name = 'k6-v1.8.1.tar.gz';
  const path = '/releases.example.invalid/v1.8.1/';
  const program = 'k6-v1.8.1/k6';
  let project: CopiedProject;
  let content: Buffer;
  let sha256: string;
  let server: Server;
  let answers: Record<string, RequestListener>;

  beforeEach(async () => {
    project = await copyProject();
    await project.program(join(project.root, 'made', program), 'echo k6 v1.8.1');
    await project.program(join(project.root, 'made', 'k6-v1.8.1/other'), '');
    const packed = ['--owner=1234', '-czf', join(project.root, name), '-C', join(project.root, 'made'), 'k6-v1.8.1'];
    await execute('tar', packed);
    content = await readFile(join(project.root, name));
    sha256 = createHash('sha256').update(content).digest('hex');
    answers = {
      [path + name]: (_request, response) => response.end(content),
      [`${path}sums.txt`]: (_request, response) => response.end(`${sha256}  ${name}\n`),
    };
    server = createServer(answer);
    await listening(server);
  });
  afterEach(async () => {
    await closed(server);
    await project.remove();
  });

  const answer: RequestListener = (request, response) => {
    const known = answers[request.url ?? ''];
    if (known === undefined) response.writeHead(404).end();
    else known(request, response);
  };
  const source = (pinned: object = { sha256 }) => ({
    kind: 'archive',
    from: 'https://releases.example.invalid/v1.8.1/',
    checksums: 'sums.txt',
    files: { any: { name, program, ...pinned } },
    programOnly: true,
    build,
  });
  const run = (env: Record<string, string> = {}) =>
    project.run('release', { GREENLIGHT_MIRROR: `http://127.0.0.1:${portOf(server)}`, ...env });
  const go = () => project.program(join(project.bin, 'go'), goThatBuilds);
  const installedK6 = () => join(project.root, '.greenlight/tools/bin/k6');
  const origin = () => describeOrigin(installedK6(), join(project.root, '.greenlight/tools'));

  it('takes the binary, and needs no Go', async () => {
    await project.onlyTool(source());
    const { code, text } = await run();
    expect(text).to.match(/k6 +1\.8\.1 from 127\.0\.0\.1:\d+: done in \d+ s/);
    expect(code).to.equal(0);
    expect((await execute(installedK6())).stdout).to.equal('k6 v1.8.1\n');
    expect(existsSync(join(project.root, '.greenlight/tools/k6-1.8.1/k6-v1.8.1'))).to.equal(false);
    expect(await origin()).to.match(/^official binary from a mirror, 127\.0\.0\.1:\d+, pinned digest$/);
  });

  it('owns what it unpacked', async () => {
    await project.onlyTool(source());
    expect((await run()).code).to.equal(0);
    expect((await stat(installedK6())).uid).to.equal(process.getuid?.());
  });

  it('takes one whose digest only the checksums file has, and records that', async () => {
    await project.onlyTool(source({}));
    expect((await run()).code).to.equal(0);
    expect(await origin()).to.match(/^binary and checksums from a mirror/);
  });

  for (const [how, pinned] of [
    ['pinned', { sha256: '0'.repeat(64) }],
    ['published', {}],
  ] as const) {
    it(`refuses a file without the ${how} digest, and does not build instead`, async () => {
      answers[`${path}sums.txt`] = (_request, response) => response.end(`${'0'.repeat(64)}  ${name}\n`);
      await project.onlyTool(source(pinned));
      await go();
      const { code, text } = await run();
      expect(code).to.equal(1);
      expect(text).to.include(`its SHA-256 is ${sha256}`).and.to.include('not the published file');
      expect(await builds(project.root)).to.equal('');
      expect(await project.tools()).to.deep.equal(['bin']);
    });
  }

  it('refuses a file that its checksums file does not name, before anything is changed', async () => {
    answers[`${path}sums.txt`] = (_request, response) => response.end(`${sha256}  another.tar.gz\n`);
    await project.onlyTool(source({}));
    await go();
    const { code, text } = await run();
    expect(code).to.equal(1);
    expect(text).to.include(`it names no ${name}`).and.to.include('nothing was changed');
    expect(await builds(project.root)).to.equal('');
  });

  const notHad: [string, (response: Parameters<RequestListener>[1]) => void, RegExp][] = [
    ['is not there', (response) => response.writeHead(404).end(), /the server answered 404/],
    [
      'is cut off',
      (response) => {
        response.writeHead(200, { 'content-length': 300_000 });
        response.write(content, () => response.destroy());
      },
      /cut off after \d+ of 300000 bytes/,
    ],
  ];
  for (const [how, say, words] of notHad) {
    it(`builds what ${how}, and says why`, async () => {
      answers[path + name] = (_request, response) => say(response);
      await project.onlyTool(source());
      await go();
      const { code, text } = await run();
      expect(text)
        .to.match(words)
        .and.to.match(/k6 +1\.8\.1 built by Go/);
      expect(code).to.equal(0);
      expect(await builds(project.root)).to.equal('built\n');
      expect(await origin()).to.equal('built by Go');
    });

    it(`says both ways where what ${how} cannot be built`, async () => {
      answers[path + name] = (_request, response) => say(response);
      await project.onlyTool(source());
      const { code, text } = await run();
      expect(code).to.equal(1);
      expect(text).to.match(words).and.to.include('Go 1.26 or newer').and.to.include('By hand: see its page');
      expect(await project.tools()).to.deep.equal(['bin']);
    });
  }

  it('builds where nothing answers at all', async () => {
    await project.onlyTool(source());
    await go();
    // The discard port: nothing listens there.
    const { code, text } = await run({ GREENLIGHT_MIRROR: 'http://127.0.0.1:9' });
    expect(text).to.match(/built by Go \(about 2 s\): .*ECONNREFUSED/);
    expect(code).to.equal(0);
  });

  describe('pinning what the publishers say', () => {
    const pin = () =>
      execute(process.execPath, [join(project.root, 'automation/toolchain/pin.mjs')], {
        env: { GREENLIGHT_MIRROR: `http://127.0.0.1:${portOf(server)}` },
      });
    const list = () => readFile(join(project.root, 'automation/toolchain/tools.json'), 'utf8');

    it('writes the missing digests into the list, and leaves the rest as it is', async () => {
      await project.onlyTool(source({ sha256 }));
      const wanted = await list();
      await project.onlyTool(source({}));
      await project.write(
        join(project.root, 'automation/toolchain/tools.json'),
        (await list()).replace(`"name":"${name}"`, `"name": "${name}"`),
      );
      await pin();
      expect(JSON.parse(await list())).to.deep.equal(JSON.parse(wanted));
    });

    it('does not replace a digest that is pinned', async () => {
      await project.onlyTool(source({ sha256: '0'.repeat(64) }));
      const before = await list();
      const error = await pin().then(
        () => expect.fail('it was replaced'),
        (reason: Error) => reason,
      );
      expect(error.message).to.include(`the publisher's checksums file has ${sha256}`);
      expect(await list()).to.equal(before);
    });
  });

  it('refuses a mirror that is no address', async () => {
    await project.onlyTool(source());
    await go();
    const { code, text } = await run({ GREENLIGHT_MIRROR: 'mirror.example' });
    expect(code).to.equal(1);
    expect(text)
      .to.include('reading GREENLIGHT_MIRROR: "mirror.example" is not an address')
      .and.to.include('nothing was changed');
  });

  describe('behind a proxy', () => {
    let secure: Server;
    let proxy: Server;
    let asked: string[];
    let tunnels: Duplex[];

    beforeEach(async () => {
      const [key, certificate] = [join(project.root, 'key.pem'), join(project.root, 'certificate.pem')];
      const subject = ['-subj', '/CN=mirror.test', '-addext', 'subjectAltName=DNS:mirror.test'];
      const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
      await execute('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', certificate, ...subject]);
      secure = createSecureServer({ key: await readFile(key), cert: await readFile(certificate) }, answer);
      await listening(secure);
      asked = [];
      tunnels = [];
      proxy = createServer();
      // Only the proxy knows where mirror.test is.
      proxy.on('connect', (request, socket) => {
        asked.push(`${request.url} ${request.headers['proxy-authorization']}`);
        const upstream = connect(portOf(secure), '127.0.0.1', () => {
          socket.write('HTTP/1.1 200 OK\r\n\r\n');
          upstream.pipe(socket).pipe(upstream);
        });
        tunnels.push(socket, upstream);
        upstream.on('error', () => socket.destroy());
        socket.on('error', () => upstream.destroy());
      });
      await listening(proxy);
    });
    afterEach(async () => {
      for (const tunnel of tunnels) tunnel.destroy();
      await closed(secure);
      await closed(proxy);
    });

    const through = (rest: Record<string, string> = {}) =>
      run({
        GREENLIGHT_MIRROR: 'https://mirror.test',
        HTTPS_PROXY: `http://user:secret@127.0.0.1:${portOf(proxy)}`,
        NODE_EXTRA_CA_CERTS: join(project.root, 'certificate.pem'),
        ...rest,
      });

    it('goes through it, and checks the certificate of the server behind it', async () => {
      await project.onlyTool(source());
      const { code, text } = await through();
      expect(text).to.match(/k6 +1\.8\.1 from mirror\.test: done/);
      expect(code).to.equal(0);
      expect(asked).to.deep.equal([`mirror.test:443 Basic ${Buffer.from('user:secret').toString('base64')}`]);
    });

    it('goes through it alone where Node would go through another by itself', async () => {
      await project.onlyTool(source());
      // The discard port: nothing listens there.
      expect((await through({ NODE_USE_ENV_PROXY: '1', HTTP_PROXY: 'http://127.0.0.1:9' })).code).to.equal(0);
      expect(asked).to.have.length(1);
    });

    it('does not trust any certificate', async () => {
      await project.onlyTool(source());
      const { code, text } = await through({ NODE_EXTRA_CA_CERTS: '' });
      expect(code).to.equal(1);
      expect(text).to.match(/self-signed certificate|DEPTH_ZERO_SELF_SIGNED_CERT/);
    });

    it('does not go through it where NO_PROXY says so', async () => {
      await project.onlyTool(source());
      await go();
      expect((await through({ NO_PROXY: 'localhost,.test' })).code).to.equal(0);
      expect(asked).to.deep.equal([]);
      expect(await builds(project.root)).to.equal('built\n');
    });
  });
});
