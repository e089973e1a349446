import { expect } from 'chai';
import { answerWatch, explainAnswer, healthHeaders, healthOf } from '../../../../infra/application/health.ts';

describe('the health of a service', () => {
  it('has one form inside', () => {
    expect(healthOf('/up')).to.eql({ kind: 'http', path: '/up', statuses: [200], headers: {} });
    expect(healthOf({ path: '/up', status: 204 })).to.deep.include({ statuses: [204] });
    expect(healthOf({ path: '/up', status: [200, 204], headers: { a: 'b' } })).to.deep.include({
      statuses: [200, 204],
    });
    expect(healthOf({ tcp: true })).to.eql({ kind: 'tcp' });
    expect(healthOf({ command: ['x'] })).to.eql({ kind: 'command', command: ['x'] });
  });

  it('is asked with the headers of the entry point, which the definition may replace', () => {
    expect(healthHeaders('https://localhost:8443', { Host: 'app.test', 'X-A': 'b' })).to.eql({
      host: 'app.test',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'localhost:8443',
      'x-a': 'b',
    });
  });

  it('explains an answer with status and Location', () => {
    const { found, todo } = explainAnswer({ path: '/up', wanted: [200, 204], status: 301, location: 'https://x/up/' });
    expect(found).to.equal('/up answered 301, Location https://x/up/');
    expect(todo).to.match(/^a health path has to answer 200 or 204; give the path that Location names/);
  });
});

describe('the watch over the answers of an instance that starts', () => {
  const answer = (status: number, location?: string) => ({ path: '/up', wanted: [200], status, location });
  const watching = () => {
    const clock = { at: 0 };
    const watch = answerWatch(() => clock.at);
    return (at: number, status?: number, location?: string) => {
      clock.at = at;
      return watch(status === undefined ? undefined : answer(status, location));
    };
  };

  it('gives up when a wrong answer stays the same for five seconds', () => {
    const watch = watching();
    expect([watch(0, 301, '/a'), watch(4999, 301, '/a'), watch(5000, 301, '/a')]).to.eql([false, false, true]);
  });

  it('begins anew with another answer, another Location, and none', () => {
    const watch = watching();
    expect([watch(0, 404), watch(4000, 301, '/a'), watch(8000, 301, '/b'), watch(12_000)]).to.eql(Array(4).fill(false));
    expect([watch(13_000, 404), watch(17_000, 404), watch(18_000, 404)]).to.eql([false, false, true]);
  });

  it('is patient with the answers of an application that still starts', () => {
    const watch = watching();
    for (const status of [502, 503, 504]) expect([watch(0, status), watch(20_000, status)]).to.eql([false, false]);
  });
});
