import { expect } from 'chai';
import type { EnvironmentSpec, ServiceSpec } from '../../infra/model.ts';

const service = (name: string, routes: string[]): ServiceSpec => ({
  name,
  start: ['node', 'server.mjs', name],
  health: '/healthz',
  routes,
  instances: 1,
  database: false,
  env: {
    GREETING: 'hello',
    PATH: '/nowhere',
    GREENLIGHT_VERSION: 'mine',
    HOST: '${host}',
    listen_on: '${host}:${port}',
    literal: '$${HOME} costs $5',
  },
});

/** An application of two services, of which one calls the other through the entry point. */
export const callingServices: EnvironmentSpec['services'] = [service('web', ['/']), service('api', ['/api'])];

/** `server.mjs` of both. */
export const callingProgram = `
import { createServer } from 'node:http';
const { PORT, HOST, PUBLIC_URL, GREENLIGHT_VERSION, GREETING, listen_on, literal } = process.env;
const called = async () => (await (await fetch(PUBLIC_URL + '/api/me')).json());
const listens = listen_on === HOST + ':' + PORT;
const self = () => ({ service: process.argv[2], version: GREENLIGHT_VERSION, greeting: GREETING, listens, literal });
createServer((request, response) => {
  const answer = request.url === '/calls' ? called() : Promise.resolve(self());
  answer.then(
    (body) => response.end(JSON.stringify(body)),
    (error) => response.writeHead(502).end(JSON.stringify({ error: String(error.cause ?? error) })),
  );
}).listen(Number(PORT), HOST, () => console.log('listening'));
`;

const of = (name: string) => ({
  service: name,
  version: '2.0.0',
  greeting: 'hello',
  listens: true,
  literal: '${HOME} costs $5',
});

/** What services may rely on wherever they run. `open` starts version 2.0.0 of `callingServices`; `ask` sends a GET to its entry. */
export function servicesContract(
  where: string,
  open: () => Promise<{ ask: (path: string) => Promise<unknown>; close: () => Promise<void> }>,
): void {
  describe(`services ${where}`, () => {
    let ask: (path: string) => Promise<unknown>;
    let close: (() => Promise<void>) | undefined;
    before(async () => {
      ({ ask, close } = await open());
    });
    after(() => close?.());

    it("get Greenlight's variables, and their own where those are free", async () => {
      expect(await ask('/me')).to.eql(of('web'));
    });

    it('reach each other through PUBLIC_URL', async () => {
      expect(await ask('/calls')).to.eql(of('api'));
    });
  });
}
