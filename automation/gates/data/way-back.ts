import { check, type Gate, type Measurement } from '../../journal/verdict.ts';

/** What the looks at the way back have found in the bake time. */
export interface WayBackFacts {
  /** Looks at which both databases answered. */
  looks: number;
  /** Since the last look at which both answered, ms; undefined where none did. */
  silentMs: number | undefined;
  /** Colour whose database did not answer at the last look. */
  silent?: string;
  /** Why it does not go on; absent while it does. PostgreSQL's words. */
  problem?: string;
  /** Why the database of the old colour, which is lost, is not made anew; absent where it is, or needs not be. */
  unmade?: string;
  /** What was mended meanwhile. */
  mended: string[];
  /** Bytes and ms that the old colour is behind at the last look. */
  lagBytes: number;
  lagMs: number;
}

/** What a broken way back means for the release: `bake.brokenWayBack` of the definition. */
export type BrokenWayBack = 'roll-back' | 'stay';

/** How old the newest answer may be at the end, ms. A look every two seconds has failed for the fifth time then. */
export const silenceMs = 10_000;
/** How far the old colour may be behind, ms: as long as a cutover back waits for it at most. */
const behindMs = 30_000;

/** Judges the way back. Without a look, or with the last one too long ago, nobody knows. Pure. */
export function judgeWayBack(facts: WayBackFacts, broken: BrokenWayBack): Measurement[] {
  const { looks, silentMs, silent, problem, unmade, mended, lagMs } = facts;
  const name = 'replication to the old colour';
  const wanted = 'goes on until the end of the bake time';
  if (problem !== undefined) {
    const note =
      broken === 'stay'
        ? 'The definition says that the new version stays (bake.brokenWayBack).'
        : 'What is written from here on cannot go back, so the release goes back at once.';
    return [{ name, wanted, measured: problem, verdict: broken === 'stay' ? 'waived' : 'fail', note }];
  }
  if (unmade !== undefined) {
    const note = 'Nothing can go back.';
    const measured = `there is none, and it could not be made anew: ${unmade}`;
    return [{ name, wanted, measured, verdict: broken === 'stay' ? 'waived' : 'inconclusive', note }];
  }
  if (looks === 0 || silentMs === undefined || silentMs > silenceMs) {
    const measured =
      looks === 0
        ? 'it was never seen'
        : `${silent ?? 'a database'} has not answered for ${Math.round((silentMs ?? 0) / 1000)} s`;
    const note = 'Whether a rollback would keep everything is not known.';
    return [{ name, wanted, measured, verdict: broken === 'stay' ? 'waived' : 'inconclusive', note }];
  }
  const also = mended.length === 0 ? '' : `; mended: ${mended.join('; ')}`;
  return [
    check(name, wanted, `goes on, ${looks} looks${also}`, true),
    check(
      'lag of the old colour',
      `<= ${behindMs / 1000} s`,
      `${Math.round(lagMs)} ms`,
      lagMs <= behindMs,
      'A cutover back would wait longer than that, and give up.',
    ),
  ];
}

/** The gate of the bake time: the old colour has followed until now, so that a rollback loses no write. */
export const wayBackGate = (facts: WayBackFacts, broken: BrokenWayBack): Gate => ({
  ...wayBackGateName,
  async measure({ evidence }) {
    await evidence.write('facts.json', JSON.stringify(facts, undefined, 2));
    return { measurements: judgeWayBack(facts, broken) };
  },
});

/** The same after a read-only window: none was armed, and somebody has approved that. Pure. */
export function judgeUnarmed(approvedBy: string | undefined): Measurement[] {
  const measured =
    approvedBy === undefined
      ? 'not armed, and nobody approved that'
      : `not armed: read-only window, as approved by ${approvedBy}`;
  return [
    check(
      'replication to the old colour',
      'goes on until the end of the bake time, or is not armed as approved',
      measured,
      approvedBy !== undefined,
      'The journal of this release has no approval.',
    ),
  ];
}

export const unarmedWayBackGate = (approvedBy: string | undefined): Gate => ({
  ...wayBackGateName,
  measure: () => Promise.resolve({ measurements: judgeUnarmed(approvedBy) }),
});

export const wayBackGateName = { id: 'way-back', title: 'The way back stays open' } as const;
