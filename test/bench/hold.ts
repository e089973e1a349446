import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { withClient } from '../../automation/data/connect.ts';
import { linkBetween, type Side } from '../../automation/data/link.ts';
import { followSync, waitForSync } from '../../automation/data/replication/sync.ts';
import { databaseUrl } from '../../infra/application/database-url.ts';
import { childEnvironment } from '../../infra/lib/child-environment.ts';
import type { Colour } from '../../infra/model.ts';
import { createRig, type Rig } from '../integration/automation/data/rig.ts';
import { startTestbed, testSpec, type Testbed } from '../integration/infra/local/haproxy/testbed.ts';
import { medians, quantile, type Benchmark, type Contender, type Figures, type Total } from './frame.ts';
import { audit, books, emptyBooks, longestWait, startWriters, type Audit } from './hold-books.ts';
import { byCutover, byPause, type Move, type Moved } from './hold-moves.ts';
import type { Write } from './hold-writers.ts';
import { startPgBouncer, type PgBouncer } from './pgbouncer.ts';
import { absent } from './programs.ts';

const writers = 8;
const perSecond = 1000;
/** There and back in each round, at scale 1: five rounds make 40 moves. */
const pairsPerRound = 4;
/** Time to write in peace before, between and after the moves, ms. */
const peaceMs = 1500;
/** A write of that long after the release may still have waited because of it, ms. */
const aftermathMs = 100;

/** What was seen of all moves of a contender: there, with the way back armed, and back, without one. */
class Seen {
  readonly #there: Sample[] = [];
  readonly #back: Sample[] = [];
  /** Waits of writes while nothing moved, ms. */
  readonly #ordinary: number[] = [];
  /** Writes a second, of each pair of moves. */
  readonly #rates: number[] = [];
  readonly #audits: Audit[] = [];

  add(writes: readonly Write[], there: Moved, back: Moved, found: Audit): Figures {
    this.#there.push(sampleOf(writes, there));
    this.#back.push(sampleOf(writes, back));
    const moving = ([, , sent, answered]: Write): boolean =>
      [there, back].some(({ began, ended }) => sent < ended + aftermathMs && answered > began);
    for (const write of writes) if (!moving(write)) this.#ordinary.push(write[3] - write[2]);
    const [first, last] = [
      Math.min(...writes.map(([, , sent]) => sent)),
      Math.max(...writes.map(([, , , answered]) => answered)),
    ];
    this.#rates.push((1000 * writes.length) / (last - first));
    this.#audits.push(found);
    return { 'ms back': this.#back.at(-1)?.wait ?? NaN, 'ms there': this.#there.at(-1)?.wait ?? NaN };
  }

  total(): Total {
    const sum = (name: keyof Audit): number => this.#audits.reduce((all, found) => all + found[name], 0);
    return {
      figures: {
        ...spread('ms', this.#back),
        ...spread('ms armed', this.#there),
        moves: this.#there.length + this.#back.length,
        acknowledged: sum('acknowledged'),
        lost: sum('lost'),
        doubled: sum('doubled'),
        refused: sum('refused'),
      },
      details: {
        'writes a second, moves included': { median: quantile(this.#rates, 0.5) },
        'ms of a write while nothing moves': {
          p50: quantile(this.#ordinary, 0.5),
          p99: quantile(this.#ordinary, 0.99),
        },
        'longest wait in the whole move, median ms': {
          back: quantile(
            this.#back.map(({ whole }) => whole),
            0.5,
          ),
          armed: quantile(
            this.#there.map(({ whole }) => whole),
            0.5,
          ),
        },
        'steps of the hold, median ms': medians(this.#back.map(({ steps }) => steps)),
        'steps with the way back armed, median ms': medians(this.#there.map(({ steps }) => steps)),
      },
    };
  }
}

interface Sample {
  /** The longest wait around the hold, and in the whole move, ms. */
  wait: number;
  whole: number;
  steps: Figures;
}

const sampleOf = (writes: readonly Write[], { began, held, released, ended, steps }: Moved): Sample => ({
  wait: longestWait(writes, held, released + aftermathMs),
  whole: longestWait(writes, began, ended + aftermathMs),
  steps: { ...steps, 'in all': released - held },
});

const spread = (name: string, samples: readonly Sample[]): Figures => {
  const waits = samples.map(({ wait }) => wait);
  return {
    [`${name} p50`]: quantile(waits, 0.5),
    [`${name} p99`]: quantile(waits, 0.99),
    [`${name} max`]: Math.max(...waits),
  };
};

export const hold: Benchmark = {
  name: 'hold',
  title: 'Longest wait of a writer while writes move to the other server, 8 writers at 1,000 writes a second in all',
  wanted: 1,
  limits: { 'ms p50': 5, 'ms p99': 15, 'ms armed p50': 40 },
  async prepare(scale) {
    const opened: { dispose(): Promise<void> }[] = [];
    const dispose = async (): Promise<void> => {
      for (const one of opened.reverse()) await one.dispose();
    };
    try {
      const rig = await createRig();
      opened.push(rig);
      await rig.fresh(books);
      // Clusters of tests do not flush, but each of these writes has to.
      for (const { access } of [rig.blue, rig.green])
        for (const sql of ['ALTER SYSTEM SET fsync = on', 'SELECT pg_reload_conf()'])
          await withClient(access, 'admin', (client) => client.query(sql));
      const pairs = Math.max(1, Math.round(pairsPerRound * scale));
      const bed = await entryPoint((colour) => databaseUrl(rig[colour].access, 'app'));
      opened.push(bed);
      const missing = absent('pgbouncer');
      const peer = missing === undefined ? await pausing(rig, opened) : undefined;
      const contender = (name: string, bed: Testbed | undefined, move: Move | undefined): Contender => {
        const seen = new Seen();
        return {
          name,
          absent: bed === undefined ? missing : undefined,
          async run() {
            const figures: Figures[] = [];
            if (bed === undefined || move === undefined) return {};
            for (let pair = 0; pair < pairs; pair++) figures.push(await thereAndBack(rig, bed, move, seen));
            return medians(figures);
          },
          total: () => seen.total(),
        };
      };
      return {
        about: `${pairs} moves there and back a round, 2 instances per colour, TLS`,
        contenders: [
          contender('greenlight', bed, byCutover(bed.router)),
          contender('PgBouncer PAUSE, RESUME', peer?.bed, peer && byPause(peer.bouncer)),
        ],
        dispose,
      };
    } catch (error) {
      await dispose();
      throw error;
    }
  },
};

/** A real balancer and two instances of the application per colour. Blue is live. */
async function entryPoint(url: (colour: Colour) => string): Promise<Testbed> {
  const services = testSpec.services.filter(({ name }) => name === 'api');
  const bed = await startTestbed(
    { ...testSpec, services, writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] } },
    (place) => ({
      argv: [process.execPath, join(import.meta.dirname, 'hold-app.ts'), String(place.port)],
      env: childEnvironment({ DATABASE_URL: url(place.colour) }).env,
    }),
  );
  await bed.router.apply({ live: 'blue', percent: 0 });
  return bed;
}

/** The same entry point and application, with PgBouncer between them and the servers. */
async function pausing(
  rig: Rig,
  opened: { dispose(): Promise<void> }[],
): Promise<{ bouncer: PgBouncer; bed: Testbed }> {
  const bouncer = await startPgBouncer(rig.blue.access);
  opened.push({ dispose: () => bouncer.stop() });
  const bed = await entryPoint(() => bouncer.url);
  opened.push(bed);
  return { bouncer, bed };
}

/** One move to green and one back, under writes. Green is made anew before it, as before each release. */
async function thereAndBack(rig: Rig, bed: Testbed, move: Move, seen: Seen): Promise<Figures> {
  const { blue, green } = rig;
  await rig.run(blue, emptyBooks(writers));
  await rig.seed();
  await followSync(linkBetween(blue, green));
  await waitForSync(linkBetween(blue, green), { timeoutMs: 60_000 });
  const instances = [bed.ports.instances.blue, bed.ports.instances.green].flatMap((ports) => ports['api'] ?? []);
  for (const port of instances) await warm(port);

  const load = startWriters({ port: bed.ports.https, caFile: bed.layout.caFile() }, writers, perSecond);
  const moved = async (from: Side, to: Side, direction: 'forward' | 'rollback'): Promise<Moved> => {
    await sleep(peaceMs);
    return await move(from, to, direction);
  };
  let writes: Write[];
  let moves: [there: Moved, back: Moved];
  try {
    moves = [await moved(blue, green, 'forward'), await moved(green, blue, 'rollback')];
    await sleep(peaceMs);
  } finally {
    writes = await load.stop();
  }
  const found = await audit(blue, writes);
  if (found.lost + found.doubled > 0) process.exitCode = 1;
  return seen.add(writes, ...moves, found);
}

async function warm(port: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${port}/warm`);
  if (!answer.ok) throw new Error(`the application on port ${port} does not reach its database: ${answer.status}`);
}
