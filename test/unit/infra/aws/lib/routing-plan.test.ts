import { expect } from 'chai';
import {
  fenceProof,
  headerRules,
  movedInFence,
  placeInFence,
  trafficRules,
  type PlannedRule,
} from '../../../../../infra/aws/lib/routing-plan.ts';
import type { EnvironmentSpec, Split } from '../../../../../infra/model.ts';
import { decide, type Request } from '../../../../lib/balancer-rules.ts';
import { spec as specOf } from '../../../../lib/declared.ts';

const spec = specOf('production');
const secret = 'abc123';
const canary: Split = { live: 'blue', percent: 10 };

const listener = (split: Split, of: EnvironmentSpec = spec): PlannedRule[] => [
  ...headerRules(of, 'blue', secret),
  ...headerRules(of, 'green', secret),
  ...trafficRules(of, split),
];
const where = (request: Request, split = canary, of = spec) => decide(listener(split, of), request);
const to = (service: string, weights: Record<string, number>) => ({ kind: 'colours', service, weights });

/** As the run time raises the fence, in one call. */
const fenced = (rules: PlannedRule[]): PlannedRule[] =>
  rules.map((rule) =>
    placeInFence(rule.priority) === 'down' ? { ...rule, priority: movedInFence(rule.priority, 'up') } : rule,
  );
const unfenced = (rules: PlannedRule[]): PlannedRule[] =>
  rules.map((rule) =>
    placeInFence(rule.priority) === 'up' ? { ...rule, priority: movedInFence(rule.priority, 'down') } : rule,
  );
const reads = ['GET', 'HEAD', 'OPTIONS'];
const writeMethods = ['POST', 'PUT', 'PATCH', 'DELETE', 'MKCOL', 'LOCK', 'PROPPATCH', 'BREW'];

describe('rules of the load balancer', () => {
  it('send reads by weight, of the service with the longest prefix', () => {
    expect(where({ path: '/' })).to.deep.equal(to('web', { blue: 90, green: 10 }));
    expect(where({ path: '/api/lessons' })).to.deep.equal(to('api', { blue: 90, green: 10 }));
    expect(where({ path: '/lessons/api' })).to.deep.equal(to('web', { blue: 90, green: 10 }));
  });

  for (const method of writeMethods)
    it(`[J4] send ${method} to the live colour alone`, () => {
      expect(where({ method, path: '/api/progress' })).to.deep.equal(to('api', { blue: 1 }));
      expect(where({ method, path: '/form' })).to.deep.equal(to('web', { blue: 1 }));
    });

  it('send paths that write to the live colour, whatever the method', () => {
    const of = { ...spec, writes: { reads, paths: ['/api/live', '/go'] } };
    expect(where({ path: '/api/live/1' }, canary, of)).to.deep.equal(to('api', { blue: 1 }));
    expect(where({ path: '/go' }, canary, of)).to.deep.equal(to('web', { blue: 1 }));
    expect(where({ path: '/api/lessons' }, canary, of)).to.deep.equal(to('api', { blue: 90, green: 10 }));
  });

  it('send a whole service to the live colour where a path above it writes', () => {
    const of = { ...spec, writes: { reads, paths: ['/a'] } };
    expect(where({ path: '/api/x' }, canary, of)).to.deep.equal(to('api', { blue: 1 }));
    expect(where({ path: '/about' }, canary, of)).to.deep.equal(to('web', { blue: 1 }));
    expect(where({ path: '/b' }, canary, of)).to.deep.equal(to('web', { blue: 90, green: 10 }));
  });

  it('send who has just written to the live colour', () => {
    const headers = { cookie: 'theme=dark; greenlight_wrote=1; session=2' };
    expect(where({ path: '/api/progress', headers })).to.deep.equal(to('api', { blue: 1 }));
  });

  it('send by header to the colour that it names, writes too, with the right secret only', () => {
    const headers = { 'x-greenlight-colour': 'green', 'x-greenlight-secret': secret };
    expect(where({ path: '/', headers })).to.deep.equal(to('web', { green: 1 }));
    expect(where({ method: 'POST', path: '/api/x', headers })).to.deep.equal(to('api', { green: 1 }));
    const wrong = { ...headers, 'x-greenlight-secret': 'guess' };
    expect(where({ path: '/', headers: wrong })).to.deep.equal(to('web', { blue: 90, green: 10 }));
    expect(where({ path: '/', headers: { 'x-greenlight-colour': 'green' } })).to.deep.equal(
      to('web', { blue: 90, green: 10 }),
    );
  });

  it('[J4] send methods that the definition calls reads by weight', () => {
    const of = { ...spec, writes: { reads: [...reads, 'PROPFIND'], paths: [] } };
    expect(where({ method: 'PROPFIND', path: '/api/x' }, canary, of)).to.deep.equal(to('api', { blue: 90, green: 10 }));
    expect(where({ method: 'PROPFIND', path: '/api/x' })).to.deep.equal(to('api', { blue: 1 }));
    const headers = { cookie: 'greenlight_wrote=1' };
    expect(where({ method: 'PROPFIND', path: '/api/x', headers }, canary, of)).to.deep.equal(to('api', { blue: 1 }));
    expect(decide(fenced(listener(canary)), { method: 'MKCOL', path: '/api/x', headers })).to.deep.equal({
      kind: 'fence',
    });
  });

  it('[J2] send WebSockets to the live colour, and hold them as writes', () => {
    const socket = { path: '/api/live', headers: { upgrade: 'WebSocket' } };
    expect(where(socket)).to.deep.equal(to('api', { blue: 1 }));
    expect(decide(fenced(listener(canary)), socket)).to.deep.equal({ kind: 'fence' });
  });

  it('go back to where they were when the fence is lowered', () => {
    const rules = listener(canary, { ...spec, writes: { reads, paths: ['/a', '/b', '/c', '/d'] } });
    expect(unfenced(fenced(rules))).to.deep.equal(rules);
  });

  it('never have the weight 0: a colour without a share is left out', () => {
    expect(where({ path: '/' }, { live: 'green', percent: 0 })).to.deep.equal(to('web', { green: 100 }));
    expect(where({ path: '/' }, { live: 'green', percent: 100 })).to.deep.equal(to('web', { blue: 100 }));
  });

  it('let the fence rest until it is raised, and then hold every write but those by header', () => {
    const rules = listener(canary);
    expect(decide(rules, { method: 'POST', path: '/api/x' })).to.deep.equal(to('api', { blue: 1 }));
    for (const method of writeMethods)
      expect(decide(fenced(rules), { method, path: '/api/x' })).to.deep.equal({ kind: 'fence' });
    expect(decide(fenced(rules), { path: '/api/x' })).to.deep.equal(to('api', { blue: 90, green: 10 }));
    const headers = { 'x-greenlight-colour': 'green', 'x-greenlight-secret': secret };
    expect(decide(fenced(rules), { method: 'POST', path: '/', headers })).to.deep.equal(to('web', { green: 1 }));
  });

  it('prove where the fence is by a write that never reaches the application', () => {
    for (const writes of [spec.writes, { reads, paths: ['/go'] }, { reads: [...reads, 'POST', 'PUT'], paths: ['/'] }]) {
      const of = { ...spec, writes };
      const proof = fenceProof(of);
      expect(decide(fenced(listener(canary, of)), proof)).to.deep.equal({ kind: 'fence' });
      expect(where(proof, canary, of)).to.deep.equal({ kind: 'none' });
    }
    expect(fenceProof({ writes: { reads: ['POST', 'PUT', 'PATCH', 'DELETE'], paths: [] } }).method).to.equal(
      'GREENLIGHT',
    );
  });

  it('hold the paths that write too', () => {
    const rules = fenced(listener(canary, { ...spec, writes: { reads, paths: ['/go'] } }));
    expect(decide(rules, { path: '/go/1' })).to.deep.equal({ kind: 'fence' });
    expect(decide(rules, { path: '/form' })).to.deep.equal(to('web', { blue: 90, green: 10 }));
  });

  it('answer 404 where no service is, as the local entry point does', () => {
    const of = { ...spec, services: spec.services.filter(({ name }) => name === 'api') };
    expect(where({ path: '/nowhere' }, canary, of)).to.deep.equal({ kind: 'none' });
    expect(where({ path: '/api' }, canary, of)).to.deep.equal(to('api', { blue: 90, green: 10 }));
  });

  it('each have a priority and a name of their own, also with the fence up', () => {
    for (const rules of [listener(canary), fenced(listener(canary))]) {
      expect(new Set(rules.map(({ priority }) => priority)).size).to.equal(rules.length);
      expect(new Set(rules.map(({ name }) => name)).size).to.equal(rules.length);
    }
  });

  it('stay within what one rule takes: three values per condition, five per rule', () => {
    const of = {
      ...spec,
      writes: { reads: [...reads, 'PROPFIND', 'REPORT', 'SEARCH', 'TRACE'], paths: ['/a', '/b', '/c', '/d'] },
    };
    for (const { conditions } of listener(canary, of)) {
      expect(Math.max(...conditions.map(({ values }) => values.length))).to.be.at.most(3);
      expect(conditions.flatMap(({ values }) => values as string[]).length).to.be.at.most(5);
    }
  });

  it('are refused where a load balancer cannot hold as many', () => {
    const routes = Array.from({ length: 20 }, (_, i) => `/r${i}`);
    const of = { ...spec, services: [{ ...spec.services[0]!, routes }] };
    expect(() => trafficRules(of, canary)).to.throw('a load balancer takes 100');
  });

  it('are refused where a route would be a wildcard', () => {
    const of = { ...spec, services: [{ ...spec.services[0]!, routes: ['/a*b'] }] };
    expect(() => trafficRules(of, canary)).to.throw('has a wildcard');
  });
});
