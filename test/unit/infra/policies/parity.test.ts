import { expect } from 'chai';
import { parity } from '../../../../infra/policies/parity.ts';
import type { Resource } from '../../../../infra/policies/rule.ts';
import { declareEnvironment, type Declared } from '../../../lib/declared.ts';

const seen = (declared: Declared[]): Resource[] =>
  declared.map(({ type, name, inputs }) => ({ type, name, props: inputs }));

describe('parity of staging and production', () => {
  let staging: Resource[];
  let production: Resource[];

  before(async () => {
    staging = seen((await declareEnvironment('staging', { live: 'blue', percent: 10 })).all);
    production = seen((await declareEnvironment('production', { live: 'blue', percent: 10 })).all);
  });

  const compare = (changed = staging) =>
    parity({ resources: changed, words: ['staging'] }, { resources: production, words: ['production'] });

  const change = (type: string, name: string, props: Record<string, unknown>): Resource[] =>
    staging.map((resource) =>
      resource.type === `aws:${type}` && resource.name.includes(name)
        ? { ...resource, props: { ...resource.props, ...props } }
        : resource,
    );

  it('is kept by what is declared', () => {
    expect(compare()).to.deep.equal([]);
  });

  it('notices what staging lacks', () => {
    const without = staging.filter(({ type }) => type !== 'aws:wafv2/webAclAssociation:WebAclAssociation');
    expect(compare(without).join()).to.match(/^staging has no aws:wafv2\/webAclAssociation/);
  });

  it('notices what only staging has', () => {
    const more = [...staging, { type: 'aws:sqs/queue:Queue', name: 'extra', props: {} }];
    expect(compare(more).join()).to.contain('only staging has aws:sqs/queue:Queue "extra"');
  });

  it('notices another setting, such as a version or a health check', () => {
    const version = change('rds/instance:Instance', 'blue', { engineVersion: '16.4' });
    expect(compare(version).join()).to.contain('engineVersion of aws:rds/instance:Instance');
    const health = change('lb/targetGroup:TargetGroup', 'blue-api', { healthCheck: { path: '/other' } });
    expect(compare(health).join()).to.contain('healthCheck of aws:lb/targetGroup:TargetGroup');
  });

  it('does not mind sizes', () => {
    expect(compare(change('ecs/taskDefinition:TaskDefinition', 'api', { cpu: '256', memory: '512' }))).to.deep.equal(
      [],
    );
    expect(compare(change('rds/instance:Instance', 'blue', { instanceClass: 'db.t4g.micro' }))).to.deep.equal([]);
  });
});
