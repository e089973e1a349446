import { expect } from 'chai';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, WebSocket } from 'undici';
import { withClient } from '../../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../../automation/data/link.ts';
import { followSync, stopSync, waitForSync } from '../../../../../../automation/data/replication/sync.ts';
import { allOf } from '../../../../../../automation/journal/entries.ts';
import { openJournal } from '../../../../../../automation/journal/journal.ts';
import { openRun } from '../../../../../../automation/release/context/context.ts';
import { takeSteps } from '../../../../../../automation/release/context/stage.ts';
import { cutover } from '../../../../../../automation/release/stages/cutover.ts';
import { endLong } from '../../../../../../automation/release/steps/traffic/end-long.ts';
import { databaseUrl } from '../../../../../../infra/application/database-url.ts';
import { childEnvironment } from '../../../../../../infra/lib/child-environment.ts';
import { createRig, type Rig } from '../../../data/rig.ts';
import { startTestbed, testSpec, until, type Testbed } from '../../../../infra/local/haproxy/testbed.ts';
import { releaseSettings } from '../../settings.ts';

/** A client that sends a message every few milliseconds, and connects again where it was cut off. It sends again what nobody has acknowledged. */
class Client {
  readonly acknowledged = new Set<string>();
  connections = 0;
  refused = 0;
  readonly #open: () => WebSocket;
  readonly #name: string;
  readonly #waiting = new Set<string>();
  #socket: WebSocket | undefined;
  #ended = false;
  #sent = 0;

  constructor(name: string, open: () => WebSocket) {
    this.#name = name;
    this.#open = open;
    this.#connect();
    void this.#talk();
  }

  #connect(): void {
    const socket = this.#open();
    this.#socket = socket;
    socket.addEventListener('open', () => {
      this.connections += 1;
      for (const key of this.#waiting) socket.send(key);
    });
    socket.addEventListener('message', ({ data }) => {
      const [, not, key = ''] = /^(not )?saved (.*)$/.exec(String(data)) ?? [];
      if (not === undefined) {
        this.acknowledged.add(key);
        this.#waiting.delete(key);
        return;
      }
      this.refused += 1;
      setTimeout(() => socket.readyState === WebSocket.OPEN && socket.send(key), 20);
    });
    socket.addEventListener('close', () => {
      if (!this.#ended) this.#connect();
    });
  }

  async #talk(): Promise<void> {
    while (!this.#ended) {
      const key = `${this.#name}-${(this.#sent += 1)}`;
      this.#waiting.add(key);
      if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(key);
      await sleep(5);
    }
  }

  /** Sends nothing any more, and resolves once all is acknowledged. */
  async end(): Promise<void> {
    this.#ended = true;
    await until(() => {
      expect(this.#waiting.size).to.equal(0);
      return Promise.resolve();
    });
    this.#socket?.close();
  }
}

describe('WebSockets over a flip and a rollback', function () {
  this.timeout(180_000);
  let rig: Rig;
  let bed: Testbed;
  let dispatcher: Agent;
  const directory = mkdtempSync(join(tmpdir(), 'greenlight-sockets-'));
  const journal = openJournal(directory);
  before(async () => {
    rig = await createRig();
    await rig.fresh('CREATE TABLE messages (key text PRIMARY KEY)');
    await rig.seed();
    await followSync(linkBetween(rig.blue, rig.green));
    await waitForSync(linkBetween(rig.blue, rig.green), { timeoutMs: 60_000 });
    const services = testSpec.services.filter(({ name }) => name === 'api');
    bed = await startTestbed({ ...testSpec, services }, ({ port, colour }) => ({
      argv: [process.execPath, join(import.meta.dirname, 'socket-app.ts'), String(port)],
      env: childEnvironment({ DATABASE_URL: databaseUrl(rig[colour].access, 'app') }).env,
    }));
    await bed.router.apply({ live: 'blue', percent: 0 });
    dispatcher = new Agent({ allowH2: false, connect: { ca: readFileSync(bed.layout.caFile()) } });
  });
  after(async () => {
    await dispatcher?.destroy();
    await bed?.dispose();
    if (rig !== undefined) await stopSync(linkBetween(rig.blue, rig.green));
    await rig?.dispose();
    journal.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** An event stream, and the end of it. */
  const listen = async (): Promise<{ ended: Promise<void> }> => {
    let ended: Promise<void> | undefined;
    await new Promise<void>((resolve, reject) => {
      const ca = readFileSync(bed.layout.caFile());
      const headers = { accept: 'text/event-stream' };
      const sent = request({ host: '127.0.0.1', port: bed.ports.https, path: '/api/events', ca, headers }, (answer) => {
        ended = new Promise((done) => answer.on('close', done).on('error', () => undefined));
        answer.once('data', resolve).resume();
      });
      sent.on('error', reject);
      sent.end();
    });
    return { ended: ended as Promise<void> };
  };

  it('[J2] are connected again once each time, and no acknowledged message is lost', async () => {
    const settings = releaseSettings({
      directory,
      journal,
      definition: { cutover: { holdMs: 4000, drainMs: 1000, longConnectionsSeconds: 1 } },
      environment: {
        router: bed.router,
        databases: { of: (colour: 'blue' | 'green') => Promise.resolve(rig[colour].access) },
      },
    });
    const run = openRun(settings);
    const clients: Client[] = [];
    try {
      const { context } = run.at('cutover');
      await context.traffic.start(() => Promise.resolve({ stop: () => Promise.resolve() }));
      const connect = () => new WebSocket(`wss://localhost:${bed.ports.https}/api/live`, { dispatcher });
      for (let n = 0; n < 6; n += 1) clients.push(new Client(`c${n}`, connect));
      const connected = (times: number) =>
        until(() => {
          expect(clients.map(({ connections }) => connections)).to.deep.equal(clients.map(() => times));
          return Promise.resolve();
        });
      const acknowledged = () => clients.reduce((sum, client) => sum + client.acknowledged.size, 0);
      const goOn = async () => {
        const before = acknowledged();
        await until(() => {
          expect(acknowledged()).to.be.above(before + 300);
          return Promise.resolve();
        });
      };
      await connected(1);
      await goOn();
      const streams = [await listen(), await listen()];

      const stage = cutover(settings);
      await takeSteps(context, stage);
      await endLong(context, 'blue');
      await connected(2);
      await Promise.all(streams.map(({ ended }) => ended));
      await goOn();
      expect((await bed.router.read()).split).to.deep.equal({ live: 'green', percent: 0 });

      const reason = { reason: 'a trial', outcome: 'rolled-back', automatic: true } as const;
      await stage.undo?.(context, reason);
      await connected(3);
      await goOn();
      expect((await bed.router.read()).split).to.deep.equal({ live: 'blue', percent: 0 });

      await Promise.all(clients.map((client) => client.end()));
      await connected(3);
      const found = await withClient(rig.blue.access, 'admin', (client) =>
        client.query<{ key: string }>('SELECT key FROM messages'),
      );
      const kept = new Set(found.rows.map(({ key }) => key));
      const lost = clients.flatMap((client) => [...client.acknowledged]).filter((key) => !kept.has(key));
      expect(lost).to.deep.equal([]);
      expect(acknowledged()).to.equal(kept.size);
      const told = allOf(journal.entries(), 'connections.ended').map(({ colour, webSockets, streams: of }) => ({
        colour,
        webSockets,
        of,
      }));
      expect(told).to.deep.equal([
        { colour: 'blue', webSockets: 6, of: 2 },
        { colour: 'green', webSockets: 6, of: 0 },
      ]);
      console.log(
        `    ${kept.size} messages, ${clients.reduce((sum, { refused }) => sum + refused, 0)} of them sent again`,
      );
    } finally {
      for (const client of clients) await client.end().catch(() => undefined);
      await run.close();
    }
  });
});
