import { expect } from 'chai';
import { aws, awsSettingsOf } from '../../../../automation/config/schema-aws.ts';
import { overlap } from '../../../../infra/aws/lib/cidr.ts';

const least = {
  accountId: '123456789012',
  region: 'eu-central-1',
  backupRegion: 'eu-west-1',
  availabilityZones: ['eu-central-1a', 'eu-central-1b'],
  hostedZoneId: 'Z0123456789ABC',
  domains: { staging: 'staging.example.org', production: 'app.example.org' },
  owner: 'learning',
  state: { bucket: 'coins-state', key: 'alias/greenlight-state' },
  tasks: { cpu: 512, memory: 1024, max: 8, architecture: 'X86_64' },
  database: { version: '17.6', instanceClass: 'db.t4g.small', storage: 20, maxStorage: 100 },
  monthlyBudget: 500,
};

const problems = (cidrBlocks: unknown): string[] =>
  (aws.safeParse({ ...least, cidrBlocks }).error?.issues ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  );

describe('networks of a release on AWS', () => {
  it('are two that can be peered, each in the settings of its environment', () => {
    const section = aws.parse(least);
    const of = (environment: 'staging' | 'production') => awsSettingsOf(section, environment);
    expect(of('staging')).to.include({ cidrBlock: '10.0.0.0/16', domain: 'staging.example.org' });
    expect(of('production')).to.include({ cidrBlock: '10.1.0.0/16', domain: 'app.example.org' });
    expect(of('staging')).not.to.have.any.keys('cidrBlocks', 'domains', 'integrations');
  });

  it('must not share addresses, and must be networks', () => {
    expect(problems({ staging: '10.4.0.0/16', production: '10.5.0.0/16' })).to.deep.equal([]);
    expect(problems({ staging: '10.1.128.0/20' }).join()).to.match(/^cidrBlocks: must not overlap/);
    expect(problems({ staging: '10.0.0.0' }).join()).to.contain('cidrBlocks.staging: addresses of a network look like');
  });

  it('have a name each', () => {
    const name = 'app.example.org';
    const { error } = aws.safeParse({ ...least, domains: { staging: name, production: name } });
    expect(error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join()).to.match(
      /^domains\.production: is the name of staging too/,
    );
  });

  it('overlap where one holds the other, whichever is first', () => {
    for (const [one, other, expected] of [
      ['10.0.0.0/16', '10.1.0.0/16', false],
      ['10.0.0.0/15', '10.1.0.0/16', true],
      ['10.1.0.0/16', '10.0.0.0/15', true],
      ['10.0.0.0/16', '10.0.0.0/16', true],
      ['192.168.0.0/24', '192.168.1.0/24', false],
      ['255.255.255.0/24', '0.0.0.0/0', true],
    ] as const)
      expect(overlap(one, other), `${one} ${other}`).to.equal(expected);
  });
});
