import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { childEnvironment } from '../../../../infra/lib/child-environment.ts';
import { ImageFolder, podman, removeTestImages } from '../../../lib/image.ts';
import { CommandLine, expectFlawless } from '../../command-line.ts';

describe('a release whose services run from images', function () {
  this.timeout(1_800_000);
  this.bail(true);

  const home = mkdtempSync(join(tmpdir(), 'greenlight-containers-'));
  const cli = new CommandLine(home, 'test/e2e/further/containers/containers.config.ts');
  const running = () => podman('ps', '--format', '{{.Names}}', '--filter', 'label=greenlight.environment=production');

  before(() => {
    for (const version of ['1.0.0', '2.0.0']) {
      const image = new ImageFolder();
      const env = { GREENLIGHT_VERSION: version, GREENLIGHT_OUT: join(image.directory, 'app') };
      execFileSync(process.execPath, ['examples/think-in-coin/build.ts'], childEnvironment(env));
      image.dockerfile([]);
      podman('build', '--quiet', '--tag', `localhost/greenlight/test-e2e/sample:${version}`, image.directory);
      image.close();
    }
  });
  after(async () => {
    await cli.end();
    const { code, output } = await cli.run('destroy', '--all', '--yes');
    rmSync(home, { recursive: true, force: true });
    removeTestImages('test-e2e');
    expect(code, output).to.equal(0);
    expect(running()).to.equal('');
  });

  it('is planned with what it builds', async () => {
    const { code, output } = await cli.run('release', '--dry-run');
    expect(code, output).to.equal(0);
    expect(output).to.include('image of web from test/e2e/further/containers/Dockerfile');
  });

  it('goes live over an empty production', async () => {
    const { code, output } = await cli.run('release', '--version', '1.0.0');
    expect(code, output).to.equal(0);
    expect(running().trim().split('\n')).to.have.length(4);
  });

  it('is replaced by the next one without a failed request or a lost write', async () => {
    const { code, output } = await cli.run('release');
    expect(code, output).to.equal(0);
    expectFlawless(cli.report());
    const names = running().trim().split('\n').sort();
    expect(names.map((name) => name.replace(/^greenlight-[0-9a-f]{8}-production-/, ''))).to.eql([
      'api.green.1',
      'api.green.2',
      'web.green.1',
      'web.green.2',
    ]);
  });

  it('records the images of each version', () => {
    const built = readFileSync(join(cli.latest(), 'journal.jsonl'), 'utf8')
      .split('\n')
      .find((line) => line.includes('artefact.built'));
    const location = /"location":"([^"]+)"/.exec(built ?? '')?.[1] ?? '';
    const record = JSON.parse(readFileSync(join(location, 'images.json'), 'utf8')) as object;
    expect(record).to.include({ engine: 'podman', jobs: 'api' });
    expect(record)
      .to.have.nested.property('services.web.id')
      .that.matches(/^sha256:[0-9a-f]{64}$/);
  });
});
