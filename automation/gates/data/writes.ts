import type { WriteLedger } from '../../journal/events.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';

export interface WritesGate {
  /** As the clients counted. */
  requests: { total: number; failed: number };
  writes: WriteLedger;
  /** The first failed requests, for the evidence. */
  failures: string[];
  /** What was asked of the clients, and what they did; left out where that is not known. */
  load?: { asked: Load; done: Load };
}

interface Load {
  seconds: number;
  requests: number;
}

/** Share of the time and of the requests asked for below which the traffic says little about a release. */
const enough = 0.5;

/** What the users of a release felt: not one failed request, every acknowledged write there exactly once. */
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
  const acknowledged: Measurement =
    writes.acknowledged === 0
      ? {
          name: 'acknowledged writes',
          measured: '0',
          wanted: '>= 1',
          verdict: 'inconclusive',
          note: 'No write was made, so nothing is proven about writes.',
        }
      : check('lost writes', '0', `${writes.lost} of ${writes.acknowledged} acknowledged`, writes.lost === 0);
  const twice = check('writes made twice', '0', `${writes.duplicated}`, writes.duplicated === 0);
  const asAsked = load === undefined ? [] : [judgeTraffic(load)];
  return [traffic, acknowledged, twice, ...judgeIncrements(writes), ...asAsked];
}

/** Traffic that ended early or that hardly came has not been there when the release did what might hurt. */
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

/** Of writes that change a row that others change, too: the row is there whatever became of them, only its value tells. */
function judgeIncrements({ increments, incrementsLost: lost, incrementsDoubled: doubled }: WriteLedger): Measurement[] {
  if (increments === undefined) return [];
  const inconclusive = (measured: string, note: string): Measurement[] => [
    { name: 'acknowledged increments', measured, wanted: '>= 1, looked up', verdict: 'inconclusive', note },
  ];
  if (lost === undefined || doubled === undefined)
    return inconclusive(`${increments}, none looked up`, 'data.ledger.counters does not say how to find them.');
  if (increments === 0) return inconclusive('0', 'The traffic’s script names no counter.');
  return [
    check('lost increments', '0', `${lost} of ${increments} acknowledged`, lost === 0),
    check('increments made twice', '0', `${doubled}`, doubled === 0),
  ];
}
