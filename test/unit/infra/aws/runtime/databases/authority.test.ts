import { expect } from 'chai';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { databaseAuthority } from '../../../../../../infra/aws/runtime/databases/authority.ts';
import { refusal } from '../../../../../contract/databases.ts';
import { settings } from '../../../../../lib/declared.ts';

const pem = rootCertificates.slice(0, 2).join('\n');

describe('authorities of the databases', () => {
  let directory: string;
  let server: Server;
  let url: string;
  let asked: number;
  let answer: { status: number; text: string };
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-'));
    asked = 0;
    answer = { status: 200, text: pem };
    server = createServer((_, response) => {
      asked += 1;
      response.writeHead(answer.status).end(answer.text);
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/global-bundle.pem`;
  });
  afterEach(async () => {
    server.close();
    await rm(directory, { recursive: true, force: true });
  });
  const find = (databases?: string) =>
    databaseAuthority({ authorities: { ...settings.authorities, databases } }, { url, directory });

  it('are downloaded once', async () => {
    const file = await find();
    expect(await readFile(file, 'utf8')).to.equal(pem);
    expect([await find(), asked]).to.deep.equal([file, 1]);
    expect(await readdir(directory)).to.deep.equal(['rds-global-bundle.pem']);
  });

  it('are downloaded anew where half of them was left', async () => {
    await writeFile(join(directory, 'rds-global-bundle.pem'), pem.slice(0, 100));
    expect(await readFile(await find(), 'utf8')).to.equal(pem);
  });

  it('are those of the settings, which must be certificates', async () => {
    const own = join(directory, 'own.pem');
    await writeFile(own, pem);
    expect([await find(own), asked]).to.deep.equal([own, 0]);
    await writeFile(own, 'no certificate');
    expect(await refusal(find(own))).to.match(/own\.pem: it holds no certificate.*\n.*authorities\.databases/);
    expect(await refusal(find(join(directory, 'none')))).to.contain('ENOENT');
  });

  it('that are no certificates, or cannot be had, are an error, and nothing is kept', async () => {
    answer = { status: 200, text: '<html>log in first</html>' };
    expect(await refusal(find())).to.match(/no certificate in PEM.*\n.*name it in authorities\.databases/);
    answer = { status: 403, text: '' };
    expect(await refusal(find())).to.contain('status 403');
    url = 'http://127.0.0.1:1/';
    expect(await refusal(find())).to.match(/ECONNREFUSED|bad port/);
    expect(await readdir(directory)).to.deep.equal([]);
  });
});
