import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { rows, withClient } from '../../../../../../automation/data/connect.ts';
import { linkBetween } from '../../../../../../automation/data/link.ts';
import { copySchema } from '../../../../../../automation/data/copying/schema.ts';
import { startSync, stopSync, waitForSync, withdrawSync } from '../../../../../../automation/data/replication/sync.ts';
import { whileLiveIsWell } from '../../../../../../automation/release/steps/traffic/guard-live.ts';
import { StageStopped } from '../../../../../../automation/release/context/stage.ts';
import type { Metrics } from '../../../../../../infra/platform/metrics.ts';
import { createRig, type Rig } from '../../../data/rig.ts';
import { Writer } from '../../../data/writer.ts';

/** What the balancer would have counted. */
function metricsOf(writer: Writer, options: { delayMs?: number; broken?: boolean } = {}): Metrics {
  const nothing = { requests: 0, errors: 0, writes: 0, splitReads: 0, latenciesMs: [] };
  return {
    delayMs: options.delayMs ?? 0,
    periodMs: 0,
    window: (from, to) => {
      if (options.broken === true) return Promise.reject(new Error('no log'));
      const seen = writer.log.filter(({ at }) => at >= from && at < to);
      const blue = { ...nothing, requests: seen.length, errors: seen.filter(({ failed }) => failed).length };
      return Promise.resolve({ from, to, colours: { blue, green: nothing }, newestAt: writer.log.at(-1)?.at });
    },
    cpuSeconds: () => Promise.resolve({}),
  };
}

/** A root of whole rows: a partition that is made meanwhile has no identity, and what was fine is not any more. */
const schema = `CREATE TABLE e (at int, w text) PARTITION BY RANGE (at); ALTER TABLE e REPLICA IDENTITY FULL;
  CREATE TABLE e_1 PARTITION OF e FOR VALUES FROM (0) TO (10); ALTER TABLE e_1 REPLICA IDENTITY FULL; INSERT INTO e VALUES (1, '');`;
const newPartition = `CREATE TABLE e_2 PARTITION OF e FOR VALUES FROM (10) TO (20); INSERT INTO e VALUES (11, '')`;

describe('the live colour, watched while it is published', () => {
  let rig: Rig;
  let writer: Writer;
  const notes: string[] = [];
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  beforeEach(async () => {
    notes.length = 0;
    await rig.fresh(schema);
    await copySchema(rig.blue.access, rig.green.access);
    writer = new Writer(rig.blue.access, [`UPDATE e SET w = 'x' WHERE at = 1`, `UPDATE e SET w = 'x' WHERE at = 11`]);
    await writer.more(5);
  });
  afterEach(() => writer.stop());

  const link = () => linkBetween(rig.blue, rig.green);
  const watched = (metrics: Metrics, work: (signal: AbortSignal) => Promise<unknown>) =>
    whileLiveIsWell(
      {
        metrics,
        live: 'blue',
        errorRate: 0.01,
        withdraw: () => withdrawSync(link()),
        note: (text) => notes.push(text),
      },
      work,
    );
  const left = () =>
    withClient(rig.blue.access, 'admin', (client) =>
      rows(client, 'SELECT pubname AS name FROM pg_publication UNION ALL SELECT slot_name FROM pg_replication_slots'),
    );

  it('loses its publication as soon as its requests fail, and answers again', async () => {
    const ended = await watched(metricsOf(writer), async (signal) => {
      await startSync(rig.blue, rig.green, { signal });
      await waitForSync(link(), { timeoutMs: 30_000, signal });
      await rig.run(rig.blue, newPartition);
      // Whatever comes next in the stage, until it is asked to end.
      await sleep(60_000, undefined, { signal });
    }).catch((error: unknown) => error);
    expect(ended).to.be.instanceOf(StageStopped);
    expect((ended as StageStopped).outcome).to.equal('no-go');
    expect((ended as StageStopped).message).to.match(
      /publishing blue made its users' requests fail: \d+ of \d+ requests failed/,
    );
    expect(writer.failures.length).to.be.greaterThan(2);
    expect(writer.failures[0]).to.include('cannot update table "e_2"');
    expect(notes.join()).to.match(/fails more often since it is published .*taken away within \d+ ms/);
    expect(await left()).to.deep.equal([]);
    const failed = writer.failures.length;
    await writer.more(20);
    expect(writer.failures.length, 'statements that failed afterwards').to.equal(failed);
  });

  it('goes on where it is well, and says where nobody saw it', async () => {
    const copy = async (signal: AbortSignal) => {
      await withClient(rig.green.access, 'admin', (client) => client.query('TRUNCATE e'));
      await startSync(rig.blue, rig.green, { signal });
      await waitForSync(link(), { timeoutMs: 30_000, signal });
      await writer.more(150);
    };
    await watched(metricsOf(writer), copy);
    expect(notes).to.deep.equal([]);
    await watched(metricsOf(writer, { broken: true }), copy);
    expect(notes).to.have.length(3);
    expect(notes[0]).to.include('is not known (no log)');
    expect(notes[1]).to.include('was missed: no log');
    expect(notes[2]).to.include('the failed requests of blue could not be watched');
    notes.length = 0;
    await watched(metricsOf(writer, { delayMs: 180_000 }), copy);
    expect(notes).to.deep.equal([
      'the failed requests of blue could not be watched while it was published: its metrics are 180 s late, and it took less',
    ]);
    expect(writer.failures).to.deep.equal([]);
    await stopSync(link());
  });

  it('ends with the error of the work, where that fails by itself', async () => {
    const error = await watched(metricsOf(writer), () => Promise.reject(new Error('by itself'))).catch(
      (e: Error) => e.message,
    );
    expect(error).to.equal('by itself');
  });
});
