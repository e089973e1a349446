import { expect } from 'chai';
import type { Look } from '../../../../../../automation/data/replication/way-back.ts';
import { WayBackWatch } from '../../../../../../automation/release/steps/traffic/watch-way-back.ts';

describe('watching the way back', () => {
  /** Watches looks that find this, one each; time passes in pauses alone. */
  async function watching(looks: (Look | Error)[]) {
    let time = 0;
    let n = 0;
    const notes: string[] = [];
    const over = new AbortController();
    const watch = new WayBackWatch({
      look: () => {
        const seen = looks[n++] as Look | Error;
        if (n >= looks.length - 1) over.abort();
        return seen instanceof Error ? Promise.reject(seen) : Promise.resolve(seen);
      },
      note: (text) => void notes.push(text),
      old: 'blue',
      now: () => time,
      pause: (ms) => Promise.resolve((time += ms)),
    });
    const stopped = await watch.untilStopped(over.signal);
    return { stopped, problem: stopped?.problem, watch, facts: watch.facts, notes, looks: n };
  }
  const follows: Look = { kind: 'follows', lagBytes: 5, lagMs: 7 };
  const silent: Look = { kind: 'silent', colour: 'blue', problem: 'ECONNREFUSED' };

  it('ends at the first look that finds it broken', async () => {
    const { problem, looks } = await watching([follows, { kind: 'broken', problem: 'no partition' }, follows]);
    expect(problem).to.equal('no partition');
    expect(looks).to.equal(2);
  });

  it('says once that a database does not answer, and once that it answers again', async () => {
    const { problem, notes, facts } = await watching([follows, silent, silent, silent, follows]);
    expect(problem).to.equal(undefined);
    expect(notes).to.have.length(2);
    expect(notes[0]).to.contain('blue does not answer (ECONNREFUSED)');
    expect(facts).to.deep.include({ looks: 2, lagMs: 7 });
    expect(facts.silent).to.equal(undefined);
  });

  it('counts the silence from the last answer, also where a look breaks off', async () => {
    const { facts } = await watching([follows, silent, new Error('a session ended'), silent]);
    expect(facts.silentMs).to.equal(6_000);
    expect(facts.silent).to.equal('blue');
    expect((await watching([silent])).facts.silentMs).to.equal(undefined);
  });

  it('takes a worker that PostgreSQL starts again for well, and one that stays away for broken', async () => {
    const waits: Look = { kind: 'waits' };
    expect((await watching([waits, waits, follows, waits, waits])).problem).to.equal(undefined);
    expect((await watching(Array<Look>(12).fill(waits))).problem).to.contain('nothing has been applying');
  });

  it('ends where the old colour has not answered for ten seconds, and not where the live one has', async () => {
    const { stopped, looks } = await watching([follows, ...Array<Look>(20).fill(silent)]);
    expect(stopped).to.deep.equal({ kind: 'silent', problem: 'ECONNREFUSED' });
    expect(looks).to.equal(8);
    expect((await watching(Array<Look>(20).fill({ ...silent, colour: 'green' }))).stopped).to.equal(undefined);
  });

  it('tells what is lost from a change that does not fit, and begins anew once that is made', async () => {
    const lost: Look = { kind: 'lost', problem: 'replication slot lost' };
    const { stopped, watch } = await watching([follows, lost, follows]);
    expect(stopped).to.deep.equal(lost);
    watch.goOn('it was made anew');
    await watch.look();
    expect(watch.facts).to.deep.include({ looks: 3, mended: ['it was made anew'] });
    expect(await watch.untilStopped(AbortSignal.abort())).to.equal(undefined);
  });

  it('goes on after what was mended, and keeps it', async () => {
    const { facts, notes } = await watching([{ kind: 'mended', what: 'a lost connection' }, follows]);
    expect(facts.mended).to.deep.equal(['a lost connection']);
    expect(notes).to.deep.equal(['the way back was mended: a lost connection']);
  });
});
