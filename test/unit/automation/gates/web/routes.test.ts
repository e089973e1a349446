import { expect } from 'chai';
import { judgeRoutes, type RouteAnswer } from '../../../../../automation/gates/web/routes.ts';

const answer = (status: number | undefined): RouteAnswer => ({ path: '/', status });
const judged = (status: number | undefined, live?: number | null) =>
  judgeRoutes([answer(status)], live === undefined ? undefined : [answer(live ?? undefined)])[0];

describe('the routes of a version', () => {
  for (const [status, live, verdict] of [
    [200, 200, 'pass'],
    [204, 200, 'pass'],
    [302, 301, 'pass'],
    [404, 404, 'pass'],
    [500, 500, 'fail'],
    [503, 200, 'fail'],
    [404, 200, 'fail'],
    [200, 302, 'fail'],
    [undefined, 200, 'fail'],
    // A live version that is broken says nothing about how the new one should answer.
    [200, 500, 'pass'],
    [404, null, 'pass'],
    // The first go-live.
    [404, undefined, 'pass'],
    [502, undefined, 'fail'],
  ] as const)
    it(`${String(status)} beside ${String(live)}: ${verdict}`, () =>
      expect(judged(status, live)?.verdict).to.equal(verdict));

  it('show both statuses', () => {
    expect(judged(404, 200)).to.deep.include({
      measured: '404 (live version: 200)',
      wanted: '2xx, as the live version',
    });
  });
});
