import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { chmod, cp, lstat, mkdir, readdir, readFile, readlink, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { artefactKey, createAwsArtefacts } from '../../../../../../infra/aws/runtime/jobs/artefacts.ts';
import { pack, unpack } from '../../../../../../infra/aws/runtime/jobs/archive.ts';
import { createLocalArtefacts } from '../../../../../../infra/application/artefact-store.ts';
import { artefactsContract } from '../../../../../contract/artefacts.ts';
import { refusal } from '../../../../../contract/databases.ts';
import { openAccount, type Account } from '../../setting.ts';

const on = (account: Account, machine: string) => {
  const { bucket, key } = account.settings.state;
  return createAwsArtefacts({ clients: account.clients, bucket, key, directory: join(account.folder, machine) });
};

artefactsContract('aws', async () => {
  const account = await openAccount();
  return { artefacts: on(account, 'one'), close: () => account.close() };
});

describe('artefacts in the state bucket', () => {
  let account: Account;
  let build: string;
  before(async () => {
    account = await openAccount();
    build = join(account.folder, 'build');
    const long = `deep/${'directory-with-a-long-name/'.repeat(5)}`;
    await mkdir(join(build, long), { recursive: true });
    await writeFile(join(build, long, 'ünï and spaces.js'), 'long');
    await writeFile(join(build, 'empty'), '');
    await writeFile(join(build, 'large'), Buffer.alloc(3_000_001, 'x'));
    await writeFile(join(build, 'program'), '#!/bin/sh\n');
    await chmod(join(build, 'program'), 0o755);
    await symlink('program', join(build, 'link'));
    await symlink('link', join(build, 'to-link'));
    await mkdir(join(build, '@scope'));
    await writeFile(join(build, '@scope', 'zeros'), Buffer.alloc(30_000_000));
  });
  after(() => account.close());

  const where = (digest: string) => ({ Bucket: account.settings.state.bucket, Key: artefactKey(digest) });
  const object = async (digest: string) =>
    Buffer.from(
      (await (await account.clients.objects.send(new GetObjectCommand(where(digest)))).Body?.transformToByteArray()) ??
        [],
    );

  it('are found by another machine, as they were', async () => {
    const artefact = await on(account, 'one').publish(build, '1.0.0 "ü"');
    const found = await on(account, 'two').find(artefact.digest);
    expect(found).to.include({ digest: artefact.digest, version: '1.0.0 "ü"' });
    expect(await readlink(join(found?.location ?? '', 'link'))).to.equal('program');
    expect(await readlink(join(found?.location ?? '', 'to-link'))).to.equal('link');
    expect((await lstat(join(found?.location ?? '', 'program'))).mode & 0o100).to.equal(0o100);
    expect(await on(account, 'two').find(artefact.digest)).to.deep.equal(found);
    const left = (await readdir(join(account.folder, 'two'))).filter((name) => name.startsWith('.'));
    expect(left).to.deep.equal([]);
  });

  it('are encrypted with the key of the state, and any tar reads them', async () => {
    const { digest } = await createLocalArtefacts(join(account.folder, 'one')).publish(build, '1.0.0');
    const head = await account.clients.objects.send(new HeadObjectCommand(where(digest)));
    expect(head).to.include({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: account.settings.state.key });
    const listed = execFileSync('tar', ['-tzf', '-'], {
      input: await object(digest),
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C.UTF-8' },
    });
    expect(listed.split('\n')).to.include.members(['empty', 'large', 'link', 'program']);
    expect(listed).to.contain('and spaces.js');
  });

  it('are the same bytes on each machine, and stored once', async () => {
    const elsewhere = join(account.folder, 'elsewhere');
    await cp(build, elsewhere, { recursive: true, verbatimSymlinks: true });
    await utimes(join(elsewhere, 'large'), 1, 1);
    const archives = [build, elsewhere].map((from) => ({ from, archive: `${from}.tar.gz` }));
    for (const { from, archive } of archives) await pack(from, archive);
    const [a, b] = await Promise.all(archives.map(({ archive }) => readFile(archive)));
    expect(a?.equals(b ?? Buffer.alloc(0))).to.be.true;
    let written = 0;
    const after = () => Promise.resolve(void (written += 1));
    account.gateway.use([{ service: 's3', actions: ['PUT'], after }]);
    await on(account, 'three').publish(build, '1.0.0');
    expect(written).to.equal(0);
  });

  it('that are damaged are not taken', async () => {
    const { digest } = await on(account, 'one').publish(build, '1.0.0');
    const whole = await object(digest);
    const put = (Body: Buffer) => account.clients.objects.send(new PutObjectCommand({ ...where(digest), Body }));
    await put(whole.subarray(0, whole.length - 100));
    expect(await refusal(on(account, 'four').find(digest))).to.match(/is damaged/);
    await writeFile(join(account.folder, 'other.txt'), 'x');
    await mkdir(join(account.folder, 'other'));
    await writeFile(join(account.folder, 'other', 'a'), 'x');
    await pack(join(account.folder, 'other'), join(account.folder, 'other.tar.gz'));
    await put(await readFile(join(account.folder, 'other.tar.gz')));
    expect(await refusal(on(account, 'five').find(digest))).to.match(/is damaged: its content is sha256:/);
    await put(whole);
  });

  it('that lead out of their directory are refused', async () => {
    const evil = join(account.folder, 'evil');
    await mkdir(join(evil, 'in'), { recursive: true });
    await writeFile(join(account.folder, 'outside'), 'x');
    const streamOf = (bytes: Buffer) => Readable.from([bytes]);
    const packed = (path: string) => streamOf(execFileSync('tar', ['-czPf', '-', path], { cwd: evil }));
    expect(await refusal(unpack(packed('../outside'), join(evil, 'in')))).to.contain("path contains '..'");
    expect(await refusal(unpack(packed(join(account.folder, 'outside')), join(evil, 'in')))).to.contain(
      'absolute path',
    );
    await symlink('outside', join(account.folder, 'outside-link'));
    expect(await refusal(unpack(packed('../outside-link'), join(evil, 'in')))).to.contain('leads out of it');
    // A link, and then a file behind it.
    execFileSync(
      'sh',
      [
        '-c',
        'ln -s .. link && tar -cf one.tar link && rm link && mkdir link && touch link/x && tar -rf one.tar link/x',
      ],
      { cwd: evil },
    );
    const linked = execFileSync('gzip', ['-c', 'one.tar'], { cwd: evil });
    await mkdir(join(evil, 'second'));
    expect(await refusal(unpack(streamOf(linked), join(evil, 'second')))).to.contain('EEXIST');
    expect(await readdir(evil)).not.to.contain('x');
  });
});
