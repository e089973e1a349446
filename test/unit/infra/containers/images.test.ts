import { expect } from 'chai';
import { leavesOut } from '../../../../infra/containers/context.ts';
import { ownTag, readFacts, referenceOf, unfit } from '../../../../infra/containers/images.ts';
import { ownPlatform } from '../../../../infra/containers/platform.ts';

const [os = '', architecture = ''] = ownPlatform().split('/');
const facts = { id: 'sha256:abc', digests: [], os, architecture, user: '1000:1000' };

describe('an image', () => {
  it('is read from what podman and docker say of it', () => {
    const digests = ['registry.example.com/shop@sha256:1'];
    const said = { RepoDigests: digests, Os: 'linux', Architecture: 'arm64', Config: { User: 'app' } };
    const expected = { id: 'sha256:abc', digests, os: 'linux', architecture: 'arm64', user: 'app' };
    expect(readFacts(JSON.stringify([{ Id: 'abc', User: 'app', ...said }]))).to.eql(expected);
    expect(readFacts(JSON.stringify([{ Id: 'sha256:abc', ...said }]))).to.eql(expected);
    expect(readFacts(JSON.stringify([{ Id: 'abc', Os: 'linux', Architecture: 'arm64', Config: null }]))).to.include({
      user: '',
    });
  });

  it('fits where its platform is this one and its user is not root', () => {
    expect(unfit(facts, { root: false })).to.equal(undefined);
    expect(unfit({ ...facts, architecture: 's390x' }, { root: true })?.found).to.contain('is for linux/s390x');
    expect(unfit({ ...facts, os: 'windows' }, { root: true })?.found).to.contain('is for windows/');
    for (const user of ['', 'root', '0', '0:1000', 'root:app']) {
      expect(unfit({ ...facts, user }, { root: false })?.found).to.equal('the image runs as root');
      expect(unfit({ ...facts, user }, { root: true })).to.equal(undefined);
    }
    expect(unfit({ ...facts, user: 'rooted' }, { root: false })).to.equal(undefined);
  });

  it("has a tag of Greenlight's own, and a reference with the version", () => {
    expect(ownTag('shop', 'web', `sha256:${'0123456789abcdef'.repeat(4)}`)).to.equal(
      'localhost/greenlight/shop/web:0123456789ab',
    );
    expect(referenceOf('ghcr.io/shop:{version}', '2.0.0')).to.equal('ghcr.io/shop:2.0.0');
  });
});

describe('the directory that an image is built from', () => {
  const path = 'deploy/.greenlight';
  it('leaves the secrets out by a rule for them, for a directory above, or for everything', () => {
    for (const rules of [
      path,
      `/${path}/`,
      `${path}/**`,
      '**/.greenlight',
      'deploy',
      '*\n!src',
      '# a\n\n.greenlight/x\n.greenlight',
    ])
      expect(leavesOut(rules, path), rules).to.equal(true);
  });
  it('does not leave them out by another rule, or where a later one takes them in again', () => {
    for (const rules of ['', '# deploy', 'src', `${path}\n!${path}`, '*\n!deploy', '.greenlights'])
      expect(leavesOut(rules, path), rules).to.equal(false);
  });
});
