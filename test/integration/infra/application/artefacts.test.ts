import { expect } from 'chai';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OperationError } from '../../../../infra/lib/errors.ts';
import type { Artefact } from '../../../../infra/model.ts';
import { createLocalArtefacts } from '../../../../infra/application/artefact-store.ts';
import { artefactsContract } from '../../../contract/artefacts.ts';
import { rejection } from '../local/postgres/environment.ts';

artefactsContract('local', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'greenlight-'));
  return {
    artefacts: createLocalArtefacts(join(folder, 'artefacts')),
    close: () => rm(folder, { recursive: true, force: true }),
  };
});

describe('a local artefact', () => {
  let folder: string;
  let build: string;
  const store = () => join(folder, 'artefacts');
  const artefacts = () => createLocalArtefacts(store());
  const original = 'text';
  const textOf = ({ location }: Artefact) => readFile(join(location, 'a file, ünï.txt'), 'utf8');
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), `greenlight it's "ü" `));
    build = join(folder, 'build');
    await mkdir(join(build, 'bin'), { recursive: true });
    await writeFile(join(build, 'bin/serve'), '#!/bin/sh\n');
    await chmod(join(build, 'bin/serve'), 0o755);
    await writeFile(join(build, 'a file, ünï.txt'), original);
    await symlink('bin/serve', join(build, 'start'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('is a read-only copy with the programs and links of the build', async () => {
    const { location } = await artefacts().publish(build, '1.0.0');
    await rm(build, { recursive: true });
    expect(await readFile(join(location, 'start'), 'utf8')).to.equal('#!/bin/sh\n');
    expect((await stat(join(location, 'bin/serve'))).mode & 0o777).to.equal(0o555);
    expect((await stat(join(location, 'a file, ünï.txt'))).mode & 0o777).to.equal(0o444);
  });

  it('is stored once, and nothing is left beside it', async () => {
    const first = await artefacts().publish(build, '1.0.0');
    const { ino } = await stat(first.location);
    const second = await artefacts().publish(build, '1.0.1');
    expect((await stat(second.location)).ino).to.equal(ino);
    const hex = first.digest.slice('sha256:'.length);
    expect((await readdir(store())).sort()).to.deep.equal([hex, `${hex}.json`]);
  });

  it('is stored once by two that publish it at the same time', async () => {
    const [one, two] = await Promise.all([artefacts().publish(build, '1.0.0'), artefacts().publish(build, '1.0.0')]);
    expect(one).to.deep.equal(two);
    expect(await textOf(one)).to.equal(original);
    expect(await readdir(store())).to.have.lengthOf(2);
  });

  it('is whole again after the next publishing when one bit was changed, a file removed, or one added', async () => {
    const artefact = await artefacts().publish(build, '1.0.0');
    const whole = await readdir(artefact.location, { recursive: true });
    const changes = [
      () => writeFile(join(artefact.location, 'a file, ünï.txt'), 'texu', { flag: 'w' }),
      () => rm(join(artefact.location, 'start')),
      () => writeFile(join(artefact.location, 'more'), ''),
    ];
    for (const change of changes) {
      await chmod(join(artefact.location, 'a file, ünï.txt'), 0o644);
      await change();
      expect(await artefacts().publish(build, '1.0.0')).to.deep.equal(artefact);
      expect(await textOf(artefact)).to.equal(original);
      expect(await readdir(artefact.location, { recursive: true })).to.have.members(whole);
    }
  });

  it('has no link that leads out of it, whichever way', async () => {
    await writeFile(join(folder, 'secret'), 'x');
    await mkdir(join(build, 's/t'), { recursive: true });
    await symlink('../..', join(build, 's/t/up'));
    for (const target of ['/etc/passwd', '../secret', 'bin/../../secret', 's/t/up/../secret']) {
      await symlink(target, join(build, 'out'));
      expect((await rejection(artefacts().publish(build, '1.0.0'))).message, target).to.contain(
        'points out of the build',
      );
      await rm(join(build, 'out'));
    }
    await rm(join(build, 's'), { recursive: true });
    expect((await artefacts().publish(build, '1.0.0')).version).to.equal('1.0.0');
  });

  it('never carries the secrets of an environment, nor names that cannot be shown', async () => {
    await mkdir(join(build, 'copy/.greenlight'), { recursive: true });
    await writeFile(join(build, 'copy/.greenlight/passphrase'), 'x');
    expect((await rejection(artefacts().publish(build, '1.0.0'))).message).to.contain('where Greenlight keeps secrets');
    await rm(join(build, 'copy'), { recursive: true });
    await writeFile(join(build, 'two\nlines'), 'x');
    expect((await rejection(artefacts().publish(build, '1.0.0'))).message).to.contain('not printable');
  });

  it('says which build is missing', async () => {
    const error = await rejection(artefacts().publish(join(folder, 'nothing'), '1.0.0'));
    expect(error).to.be.instanceOf(OperationError);
    expect(error.message).to.contain('nothing');
  });
});
