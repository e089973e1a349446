import { expect } from 'chai';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import {
  declareApart,
  renderTree,
  resourceTree,
  type StackTree,
} from '../../../../../infra/aws/declared/resource-tree.ts';
import { settings, spec } from '../../../../lib/declared.ts';

describe('resource tree', () => {
  let trees: StackTree[];

  before(async () => {
    trees = resourceTree(spec('production'), await declareApart(spec('production'), settings));
  });

  it('has all four stacks, each below one component', () => {
    expect(trees.map(({ stack, roots }) => [stack, roots.at(-1)?.type])).to.deep.equal([
      ['production-foundation', 'greenlight:aws:Foundation'],
      ['production-blue', 'greenlight:aws:Colour'],
      ['production-green', 'greenlight:aws:Colour'],
      ['production-traffic', 'greenlight:aws:Traffic'],
    ]);
  });

  it('nests resources as the programs do', () => {
    const service = trees[1]?.roots.at(-1)?.children.find(({ name }) => name === 'production-blue-api');
    expect(service?.type).to.equal('greenlight:aws:Service');
    expect(service?.children.map(({ type }) => type)).to.include.members([
      'aws:lb/targetGroup:TargetGroup',
      'greenlight:aws:Task',
      'aws:ecs/service:Service',
    ]);
  });

  it('follows the settings: an endpoint has a subnet in each zone', async () => {
    const zones = ['eu-central-1a', 'eu-central-1b', 'eu-central-1c'];
    const { foundation } = await declareApart(spec('production'), { ...settings, availabilityZones: zones });
    const endpoint = foundation.find(({ name }) => name === 'production-to-logs');
    expect(endpoint?.inputs['subnetIds']).to.deep.equal(['private-a', 'private-b', 'private-c']);
  });

  it('fits on a screen or two', () => {
    const lines = renderTree(trees).split('\n');
    expect(lines.length).to.be.below(80);
    expect(Math.max(...lines.map((line) => line.length))).to.be.below(140);
    expect(lines).to.include(`production-traffic: ${trees[3]?.roots.at(-1)?.children.length} resources`);
    expect(lines.join('\n')).to.match(/ {2}Network +5 VpcEndpoint, DefaultSecurityGroup, FlowLog/);
    expect(lines.join('\n'))
      .to.match(/ {2}Service api +2 Role, .* and \d more kinds?$/m)
      .and.not.to.match(/ 1 more kinds/);
    expect(lines.join('\n')).to.match(/ {2}Edge .* and \d\d more kinds$/m);
  });

  it('says what the programs say where they refuse, without a stack trace', async () => {
    const integrations = [{ name: 'feed', env: 'FEED_URL', standIn: ['node', 'feed.mjs'], health: '/' }];
    const refused = declareApart({ ...spec('production'), integrations }, settings);
    const error = await refused.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).to.be.instanceOf(OperationError);
    expect(String(error))
      .to.contain('the integration feed has no url')
      .and.not.to.match(/\bat .*\.ts:\d+/);
  });
});
