import { expect } from 'chai';
import { knownId } from '../../../../../../infra/aws/runtime/engine/resource-ids.ts';
import { secretsProvider } from '../../../../../../infra/aws/runtime/engine/engine-settings.ts';

describe('ids of resources whose making was cut off', () => {
  const where = { region: 'eu-central-1', accountId: '123456789012' };
  const id = (type: string, inputs: Record<string, unknown>) => knownId({ type, inputs }, where);

  it('follow from names where the provider makes them of names', () => {
    expect(id('aws:rds/instance:Instance', { identifier: 'shop-production-blue' })).to.equal('shop-production-blue');
    expect(id('aws:iam/rolePolicy:RolePolicy', { role: 'r-1', name: 'p-2' })).to.equal('r-1:p-2');
    const cluster = 'arn:aws:ecs:eu-central-1:123456789012:cluster/services-1';
    expect(id('aws:ecs/cluster:Cluster', { name: 'services-1' })).to.equal(cluster);
    expect(id('aws:ecs/service:Service', { cluster, name: 'api-2' })).to.equal(
      'arn:aws:ecs:eu-central-1:123456789012:service/services-1/api-2',
    );
    expect(id('aws:route53/record:Record', { zoneId: 'Z1', name: 'a.b', type: 'A' })).to.equal('Z1_a.b_A');
  });

  it('are unknown where AWS gives them, and where a name is not known yet', () => {
    expect(id('aws:lb/targetGroup:TargetGroup', { name: 'api' })).to.equal(undefined);
    expect(
      id('aws:iam/rolePolicy:RolePolicy', { role: { '4dabf18193072939515e22adb298388d': 'x' }, name: 'p' }),
    ).to.equal(undefined);
    expect(knownId({ type: 'aws:s3/bucket:Bucket' }, where)).to.equal(undefined);
  });
});

describe('the secrets provider of the state', () => {
  it('is the URL of an alias or of a key', () => {
    const options = '?region=eu-central-1&awssdk=v2';
    expect(secretsProvider('alias/state', 'eu-central-1')).to.equal(`awskms://alias/state${options}`);
    const arn = 'arn:aws:kms:eu-central-1:123456789012:key/1234';
    expect(secretsProvider(arn, 'eu-central-1')).to.equal(`awskms:///${arn}${options}`);
  });
});
