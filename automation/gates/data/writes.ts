import type { WriteLedger } from '../../journal/events.ts';
import { refusedAsAnnounced } from '../../journal/refused.ts';
import { absent, check, type Gate, type Measurement } from '../../journal/verdict.ts';

export interface WritesGate {
  /** Counted by the clients. */
  requests: { total: number; failed: number; refused?: number };
  /** Undefined: the traffic only read. */
  writes: WriteLedger | undefined;
  /** The first failed requests, for the evidence. */
  failures: string[];
  /** Load that was asked of the clients, and the load they sent; left out where unknown. */
  load?: { asked: Load; done: Load };
}

interface Load {
  seconds: number;
  requests: number;
}

/** Smallest share of the seconds and of the requests asked for. Less traffic proves too little about the release. */
const enough = 0.5;

/**
 * During the release no request failed, and every acknowledged write is in the database exactly once. A write that was refused as
 * announced did not fail.
 */
export function writesGate(seen: WritesGate): Gate {
  return {
    id: 'user-journey',
    title: 'Requests and writes during the release',
    async measure({ evidence }) {
      await evidence.write('seen.json', JSON.stringify(seen, undefined, 2));
      return { measurements: judgeWrites(seen) };
    },
  };
}

export function judgeWrites({ requests, writes, failures, load }: WritesGate): Measurement[] {
  const traffic: Measurement =
    requests.total === 0
      ? {
          name: 'failed requests',
          measured: 'no request was counted',
          wanted: '0 of many',
          verdict: 'inconclusive',
          note: failures.join('; '),
        }
      : check(
          'failed requests',
          '0',
          `${requests.failed} of ${requests.total}`,
          requests.failed === 0,
          failures.join('; '),
        );
  const { refused = 0 } = requests;
  const wanted = 'in the read-only window alone';
  const asAnnounced = refused === 0 ? [] : [check('refused writes', wanted, refusedAsAnnounced(refused), true)];
  const asAsked = load === undefined ? [] : [judgeTraffic(load)];
  if (writes === undefined) return [traffic, ...asAnnounced, noWrites, ...asAsked];
  const acknowledged: Measurement =
    writes.acknowledged === 0
      ? {
          name: 'acknowledged writes',
          measured: '0',
          wanted: '>= 1',
          verdict: 'inconclusive',
          note: 'No write was acknowledged, so nothing is proven about writes.',
        }
      : check('lost writes', '0', `${writes.lost} of ${writes.acknowledged} acknowledged`, writes.lost === 0);
  const twice = check('writes made twice', '0', `${writes.duplicated}`, writes.duplicated === 0);
  return [traffic, ...asAnnounced, acknowledged, twice, ...judgeIncrements(writes), ...asAsked];
}

const noWrites = absent('acknowledged writes', 'each there exactly once', 'marked traffic only reads');

/** Traffic that ended early or was too thin may have missed the stages that can hurt users: inconclusive. */
function judgeTraffic({ asked, done }: { asked: Load; done: Load }): Measurement {
  const show = ({ seconds, requests }: Load, share = 1) =>
    `${Math.round(requests * share)} requests in ${Math.round(seconds * share)} s`;
  const base = {
    name: 'marked traffic',
    measured: show(done),
    wanted: `>= ${show(asked, enough)} (half of what was asked for)`,
  };
  if (done.seconds >= asked.seconds * enough && done.requests >= asked.requests * enough)
    return { ...base, verdict: 'pass' };
  const note =
    'It ended before its time or sent less than asked for: check that the script of synthetic.script uses RATE and DURATION.';
  return { ...base, verdict: 'inconclusive', note };
}

/** Judges writes that increment a shared row. The row exists even if a write is lost, so its value is compared. */
function judgeIncrements({ increments, incrementsLost: lost, incrementsDoubled: doubled }: WriteLedger): Measurement[] {
  if (increments === undefined) return [];
  const inconclusive = (measured: string, note: string): Measurement[] => [
    { name: 'acknowledged increments', measured, wanted: '>= 1, looked up', verdict: 'inconclusive', note },
  ];
  if (lost === undefined || doubled === undefined)
    return inconclusive(`${increments}, none looked up`, 'Set data.ledger.counters: it says how to find them.');
  if (increments === 0) return inconclusive('0', 'The script of synthetic.script names no counter.');
  return [
    check('lost increments', '0', `${lost} of ${increments} acknowledged`, lost === 0),
    check('increments made twice', '0', `${doubled}`, doubled === 0),
  ];
}
