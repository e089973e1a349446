import { expect } from 'chai';
import type { Server } from 'node:net';
import { runGate } from '../../../../../automation/gates/run.ts';
import { routesGate } from '../../../../../automation/gates/web/routes-gate.ts';
import { closeAll, scratchDirectory, serveHttp } from '../gate-harness.ts';

describe('the gate of routes with a real server', () => {
  const directory = scratchDirectory();
  const open: Server[] = [];
  afterEach(() => closeAll(open));

  /** Two versions behind one entry point, told apart by a header. */
  async function run(next: Record<string, number>, live: Record<string, number>) {
    const asked: string[] = [];
    const baseUrl = await serveHttp((request, response) => {
      const version = request.headers['x-colour'] === 'green' ? next : live;
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(version[request.url ?? ''] ?? 404, { location: '/elsewhere' });
      // A stream without an end: nobody may wait for it.
      if (request.url === '/events') response.write('data: 1\n\n');
      else response.end();
    }, open);
    const gate = routesGate({
      id: 'smoke',
      title: 'Routes of 2.0.0',
      entry: { baseUrl },
      headers: { 'x-colour': 'green' },
      live: { entry: { baseUrl }, headers: { 'x-colour': 'blue' } },
      paths: Object.keys(live),
    });
    return { asked, result: await runGate(gate, { releaseDirectory: directory }) };
  }

  it('passes a version that answers as the live one, does not follow redirects, and waits for no stream', async () => {
    const routes = { '/': 200, '/login': 302, '/events': 200 };
    const { asked, result } = await run(routes, routes);
    expect(result.measurements.filter(({ verdict }) => verdict !== 'pass')).to.deep.equal([]);
    expect(result.title).to.equal("Routes of 2.0.0 (asked by Greenlight; not the application's own tests)");
    expect(result.measured).to.equal('/ 200, /login 302, /events 200; redirects not followed');
    expect(asked).to.not.contain('GET /elsewhere');
    expect(asked).to.have.length(6);
  });

  it('fails one that has lost a route, with both statuses', async () => {
    const { result } = await run({ '/': 200, '/api': 404 }, { '/': 200, '/api': 200 });
    expect(result.verdict).to.equal('fail');
    expect(result.measured).to.equal('GET /api: 404 (live version: 200)');
  });
});
