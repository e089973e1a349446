import { expect } from 'chai';
import {
  buildArguments,
  loginArguments,
  platformsOf,
  splitRepository,
} from '../../../../../../infra/aws/runtime/jobs/images.ts';

describe('images', () => {
  it('are built for the platform of the tasks, from the directory of the artefact, and pushed', () => {
    const image = {
      dockerfile: '/p/Dockerfile',
      reference: 'r/sample/production:sha256-ab',
      platform: 'linux/arm64',
      context: '/artefacts/ab',
    };
    expect(buildArguments(image)).to.deep.equal([
      'buildx',
      'build',
      '--platform',
      'linux/arm64',
      '--file',
      '/p/Dockerfile',
      '--tag',
      'r/sample/production:sha256-ab',
      '--provenance=false',
      '--push',
      '--progress=plain',
      '/artefacts/ab',
    ]);
  });

  it('are pushed with a password that is in no argument', () => {
    expect(loginArguments('r')).to.deep.equal(['login', '--username', 'AWS', '--password-stdin', 'r']);
  });

  it('are in a repository, whose name may have slashes', () => {
    const url = '123456789012.dkr.ecr.eu-central-1.amazonaws.com/sample/production';
    expect(splitRepository(url)).to.deep.equal({ registry: url.split('/')[0], name: 'sample/production' });
  });

  describe('are for the platforms', () => {
    const none = () => Promise.reject(new Error('not asked for'));

    it('of their index, without attestations', async () => {
      const manifests = [
        { platform: { os: 'linux', architecture: 'arm64' } },
        { platform: { os: 'unknown', architecture: 'unknown' } },
      ];
      expect(await platformsOf(JSON.stringify({ manifests }), none)).to.deep.equal(['linux/arm64']);
    });

    it('of their configuration', async () => {
      const manifest = JSON.stringify({ config: { digest: 'sha256:c' } });
      const config = (digest: string) =>
        Promise.resolve({ os: 'linux', architecture: digest === 'sha256:c' ? 'amd64' : '?' });
      expect(await platformsOf(manifest, config)).to.deep.equal(['linux/amd64']);
    });

    it('that nobody knows, where the registry does not tell', async () => {
      expect(await platformsOf(JSON.stringify({ config: { digest: 'sha256:c' } }), none)).to.equal(undefined);
      expect(await platformsOf('{}', none)).to.equal(undefined);
    });
  });
});
