import { expect } from 'chai';
import type { AccessRecord } from '../../../../../infra/local/haproxy/access-log.ts';
import { mostLatencies, Tally } from '../../../../../infra/local/haproxy/tally.ts';
import { percentile } from '../../../../../automation/canary/statistics.ts';

const record = (more: Partial<AccessRecord>): AccessRecord => ({
  at: 10,
  colour: 'blue',
  service: 'api',
  kind: 'read',
  by: 'split',
  status: 200,
  ms: 5,
  state: '--',
  synthetic: false,
  ...more,
});

function tallyOf(records: AccessRecord[]): Tally {
  const tally = new Tally(0, 300);
  for (const one of records) tally.add(one);
  return tally;
}

describe('a window of traffic', () => {
  const blue = (...records: AccessRecord[]) => tallyOf(records).window(0, 100)?.colours.blue;

  it('is half open: with its beginning, without its end', () => {
    const records = [0, 99, 100].map((at) => record({ at }));
    expect(blue(...records)?.requests).to.equal(2);
    expect(tallyOf(records).window(0, 100)?.newestAt).to.equal(100);
    expect(tallyOf([]).window(0, 100)?.newestAt).to.equal(undefined);
  });

  it('counts the writes that are one only because they have no session cookie', () => {
    const found = blue(record({ kind: 'write', by: 'anew' }), record({ kind: 'write' }), record({}));
    expect(found).to.include({ requests: 3, writes: 2, splitReads: 1, withoutCookie: 1 });
    expect(blue(record({}))).to.not.have.property('withoutCookie');
  });

  it('counts as errors: 5xx, no answer, and answers that broke off', () => {
    const errors = [
      { status: 500 },
      { status: -1 },
      { status: 0 },
      { state: 'SD' },
      { state: 'sD' },
      { status: 504, state: 'sH' },
    ];
    for (const error of errors)
      expect(blue(record(error)), JSON.stringify(error)).to.include({ requests: 1, errors: 1 });
    for (const fine of [{ status: 404 }, { status: 301 }, { state: 'CD' }]) {
      expect(blue(record(fine)), JSON.stringify(fine)).to.include({ requests: 1, errors: 0 });
    }
  });

  it('[J1] says which setting cut an answer that counts as an error', () => {
    const cut = (more: Partial<AccessRecord>) => blue(record(more))?.cut;
    expect(cut({ status: 504, state: 'sH' })).to.deep.equal({ 'timeouts.answerSeconds of the service api': 1 });
    expect(cut({ state: 'sD' })).to.deep.equal({ 'timeouts.answerSeconds of the service api': 1 });
    expect(cut({ state: 'sD', kind: 'stream' })).to.deep.equal({ 'timeouts.quietSeconds of the service api': 1 });
    expect(cut({ status: 502, state: 'PH' })).to.deep.equal({ 'application.http.headerKilobytes': 1 });
    expect(cut({ state: 'SD' })).to.equal(undefined);
    const summed = tallyOf([0, 150_000, 150_001].map((at) => record({ at, status: 504, state: 'sH' })));
    expect(summed.window(0, 200_000)?.colours.blue.cut).to.deep.equal({
      'timeouts.answerSeconds of the service api': 3,
    });
  });

  it('[J2] takes how a WebSocket or an event stream ends for no error, and counts one that was never opened', () => {
    for (const state of ['SD', 'sD', 'CD', 'K-', 'KD', '--'])
      expect(blue(record({ kind: 'tunnel', status: 101, state })), state).to.include({ requests: 1, errors: 0 });
    expect(blue(record({ kind: 'stream', state: 'KD' }))).to.include({ requests: 1, errors: 0 });
    expect(blue(record({ kind: 'tunnel', status: -1, state: 'KH' }))).to.include({ requests: 0, errors: 0 });
    for (const status of [500, 502, 504])
      expect(blue(record({ kind: 'tunnel', status })), String(status)).to.include({ requests: 1, errors: 1 });
    expect(blue(record({ kind: 'tunnel', status: 101 }), record({ kind: 'stream' }))).to.include({
      writes: 0,
      splitReads: 1,
    });
  });

  it('counts a client that left as an error only where it had waited in vain', () => {
    expect(blue(record({ status: -1, state: 'CH', ms: 299 }))?.requests).to.equal(0);
    expect(blue(record({ status: -1, state: 'CH', ms: 300 }))).to.include({ requests: 1, errors: 1 });
  });

  it('leaves out the header route and what reached no colour', () => {
    expect(blue(record({ by: 'header' }), record({ colour: undefined }))?.requests).to.equal(0);
  });
});

describe('a tally of hours', () => {
  const second = 1_000;
  /** `perSecond` requests for `seconds`, each with another time to answer. A window of all and one of the last seconds are asked for every five. */
  function watched(seconds: number, perSecond: number) {
    const tally = new Tally(0, 300);
    const most = { requests: 0, segments: 0 };
    for (let now = 0; now < seconds; now++) {
      for (let i = 0; i < perSecond; i++) {
        const [at, ms] = [now * second + Math.floor((i * second) / perSecond), 1 + ((now * perSecond + i) % 1_000)];
        tally.add(record({ at, ms, kind: i % 10 === 0 ? 'write' : 'read', status: i % 100 === 0 ? 500 : 200 }));
      }
      const { requests, segments } = tally.size;
      most.requests = Math.max(most.requests, requests);
      most.segments = Math.max(most.segments, segments);
      if (now % 5 > 0) continue;
      tally.window(0, (now + 1) * second);
      tally.window(now * second, (now + 1) * second);
    }
    return { tally, most };
  }

  it('keeps no more objects of a million requests than of a few, and counts all', () => {
    const [short, { tally, most }] = [watched(500, 100), watched(10_000, 100)];
    expect(most.segments).to.equal(short.most.segments);
    // Two minutes.
    expect(most.requests).to.be.within(12_000, 12_001);
    const found = tally.window(0, Infinity)?.colours.blue;
    expect(found).to.include({ requests: 1_000_000, writes: 100_000, splitReads: 900_000, errors: 10_000 });
    expect(found?.timed).to.equal(1_000_000);
    expect(found?.latenciesMs).to.have.length(mostLatencies);
    expect(percentile(found?.latenciesMs ?? [], 0.95)).to.be.within(949, 951);
  });

  it('has every latency of a window with few requests', () => {
    const { tally } = watched(1, 500);
    const found = tally.window(0, Infinity)?.colours.blue;
    expect(found?.timed).to.equal(undefined);
    expect(found?.latenciesMs).to.deep.equal(Array.from({ length: 500 }, (_, i) => i + 1));
  });

  it('knows windows that begin within the last minute, or where one began before', () => {
    const { tally } = watched(600, 10);
    const requests = (from: number, to: number) => tally.window(from * second, to * second)?.colours.blue.requests;
    expect(requests(0, 600)).to.equal(6_000);
    expect(requests(480, 600)).to.equal(1_200);
    expect(requests(0, 480)).to.equal(4_800);
    expect(requests(479, 600)).to.equal(undefined);
    expect(requests(0, 479)).to.equal(undefined);
    expect(requests(541, 600)).to.equal(590);
    expect(requests(0, 541)).to.equal(5_410);
  });

  it('forgets a window that nobody asks for any more', () => {
    const { tally } = watched(600, 10);
    for (let at = 600; at < 800; at++) tally.add(record({ at: at * second }));
    tally.window(790 * second, Infinity);
    expect(tally.window(0, Infinity)).to.equal(undefined);
    expect(tally.window(790 * second, Infinity)?.colours.blue.requests).to.equal(10);
  });
});
