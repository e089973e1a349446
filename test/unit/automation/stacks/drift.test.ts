import { expect } from 'chai';
import { drifts } from '../../../../automation/stacks/drift.ts';
import { volatileProperties } from '../../../../infra/aws/runtime/engine/engine-settings.ts';

const service = 'aws:ecs/service:Service';
const rule = 'aws:lb/listenerRule:ListenerRule';
const one = (type: string, outputs: Record<string, unknown>) => [
  { urn: `urn:pulumi:s::p::${type}::thing`, type, outputs },
];

describe('drift', () => {
  const between = (type: string, was: Record<string, unknown>, is: Record<string, unknown>) =>
    drifts(one(type, was), one(type, is), volatileProperties).map(({ what }) => what);

  it('is what is gone, what changed, and what a provider says', () => {
    expect(drifts(one(service, {}), [], {})).to.deep.equal([{ resource: 'thing', what: 'it is gone' }]);
    expect(between(service, { cpu: 1, name: 'a' }, { cpu: 2, name: 'a', gpu: 1 })).to.deep.equal(['changed: cpu, gpu']);
    expect(between(service, {}, { drift: 'it does not run' })).to.deep.equal(['it does not run']);
    expect(between(service, { cpu: 1 }, { cpu: 1 })).to.deep.equal([]);
  });

  it('is no secret that was encrypted anew', () => {
    expect(between(service, { key: { ciphertext: 'a' } }, { key: { ciphertext: 'b' } })).to.deep.equal([]);
  });

  it('is not what changes by itself, of that type alone', () => {
    expect(between(service, { desiredCount: 2 }, { desiredCount: 5 })).to.deep.equal([]);
    expect(between(rule, { desiredCount: 2 }, { desiredCount: 5 })).to.deep.equal(['changed: desiredCount']);
    expect(drifts(one(service, { desiredCount: 2 }), one(service, { desiredCount: 5 }), {})).to.have.length(1);
  });

  it('is not one tag that changes by itself, but any other', () => {
    const lease = { 'greenlight-hold-until': '1' };
    expect(between(rule, { tags: { Name: 'a' } }, { tags: { Name: 'a', ...lease } })).to.deep.equal([]);
    expect(between(rule, {}, { tags: lease, tagsAll: lease })).to.deep.equal([]);
    expect(between(rule, { tags: { Name: 'a', ...lease } }, { tags: { Name: 'b' } })).to.deep.equal(['changed: tags']);
  });
});
