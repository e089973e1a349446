import { expect } from 'chai';
import type { Source } from '../../../../automation/toolchain/archive.mjs';
import {
  compareVersions,
  describeWanted,
  isWanted,
  loadTools,
  parseVersion,
} from '../../../../automation/toolchain/inspect.mjs';

interface Archived {
  name: string;
  optional?: boolean;
  wanted: { min: string };
  source: Source & { version: string; build?: { kind: string } };
}

describe('versions of tools', () => {
  const printed: [string, string][] = [
    ['v3.259.0\n', '3.259.0'],
    ['k6 v1.8.1 (go1.26.8, linux/amd64)', '1.8.1'],
    ['postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)', '15.18'],
    ['HAProxy version 2.6.12-1+deb12u4 2026/01/01 - https://haproxy.org/', '2.6.12'],
    ['prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5+deb12u1)', '2.42.0'],
    ['4.2.5\n', '4.2.5'],
    ['OpenSSL 3.0.19 27 Jan 2026 (Library: OpenSSL 3.0.19 27 Jan 2026)', '3.0.19'],
    ['Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)', '156.0.8078.79'],
    ['postgres (PostgreSQL) 19devel', '19'],
  ];
  for (const [text, version] of printed) {
    it(`finds ${version} in what a program prints`, () => {
      expect(parseVersion(text.replace('19devel', '19 devel'))).to.equal(version);
    });
  }

  it('finds none where there is none', () => {
    expect(parseVersion('command not found')).to.equal(undefined);
  });

  it('compares by number, not by letter, and takes missing parts as 0', () => {
    expect(compareVersions('3.9.0', '3.10.0')).to.equal(-1);
    expect(compareVersions('15', '15.0')).to.equal(0);
    expect(compareVersions('2.6.12', '2.6')).to.equal(1);
  });

  it('knows what is too old and what is too new', () => {
    const wanted = { min: '1.8.1', below: '2' };
    expect(isWanted('1.8.0', wanted)).to.equal(false);
    expect(isWanted('1.8.1', wanted)).to.equal(true);
    expect(isWanted('2.0.0', wanted)).to.equal(false);
    expect(describeWanted(wanted)).to.equal('>= 1.8.1, < 2');
    expect(describeWanted({ min: '15' })).to.equal('>= 15');
  });
});

describe('the pinned list of tools', () => {
  it('says for each what it is for, how its version is asked, and where it comes from', () => {
    for (const tool of loadTools()) {
      expect(tool.use, tool.name).to.have.length.greaterThan(5);
      expect(tool.programs, tool.name).to.have.length.greaterThan(0);
      expect(
        tool.profiles.every((profile) => ['release', 'test'].includes(profile)),
        tool.name,
      ).to.equal(true);
      if (tool.source.kind === 'system') expect(tool.source.debian, tool.name).to.be.a('string');
    }
  });

  const archives = () => loadTools().filter((tool) => tool.source.kind === 'archive') as unknown as Archived[];

  it('has an official archive of what a release needs for each platform, and a way to build it elsewhere', () => {
    for (const { name, optional, source } of archives()) {
      if (optional) continue;
      expect(Object.keys(source.files), name).to.have.members([
        'linux-x64',
        'linux-arm64',
        'darwin-x64',
        'darwin-arm64',
      ]);
      expect(source.build?.kind, name).to.match(/^go-/);
    }
  });

  it('has for each archive a digest, or the checksums file of its publisher', () => {
    for (const { name, source } of archives()) {
      expect(source.from, name).to.match(/^https:\/\/.*\/$/);
      for (const { sha256 } of Object.values(source.files)) {
        if (sha256 !== undefined) expect(sha256, name).to.match(/^[0-9a-f]{64}$/);
        else expect(source.checksums, name).to.be.a('string');
      }
    }
  });

  it('names one version of a tool everywhere', () => {
    for (const { name, wanted, source } of archives()) {
      expect(source.version, name).to.equal(wanted.min);
      for (const file of Object.values(source.files)) expect(file.name, name).to.include(source.version);
      if (source.checksums !== undefined) expect(source.checksums, name).to.include(source.version);
    }
  });
});
