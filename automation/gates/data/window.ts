import { formatDuration } from '../../journal/format.ts';
import { readOnlyWindowGateId } from '../../journal/migration-risks.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { judgeEffectFacts, type EffectAcceptance, type EffectFacts } from './effects.ts';
import { judgeRehearsal, type RehearsalFacts } from './rehearsal.ts';

/** How long on the copy took what the read-only window holds, ms. */
export interface WindowTimes {
  /** The database with the restored backup. Undefined: nobody measured it. */
  compare: number | undefined;
  /** With the two looks that tell what they did. */
  migrations: number;
  /** Of the new version, until it was ready. */
  start: number;
  invariants: number;
  /** Drain, fence, replay and flip, at the longest: `cutover.holdMs`. */
  hold: number;
}

export interface WindowFacts extends RehearsalFacts {
  seen: EffectFacts;
  times: WindowTimes;
}

export const readOnlyWindowTitle = 'What cannot be made compatible runs on the copy, within the read-only window';

/**
 * For what the copy says nothing about, ms: the smoke tests, which are made for seconds whatever their limit is, and what a stack takes
 * to start a version beyond the start itself.
 */
export const reserveMs = 10_000;

/** The incompatible migrations, and the time for which users could not write. */
export function readOnlyWindowGate(options: {
  rehearse: () => Promise<WindowFacts>;
  longestMs: number;
  accept: readonly EffectAcceptance[];
}): Gate {
  return {
    id: readOnlyWindowGateId,
    title: readOnlyWindowTitle,
    async measure({ evidence }) {
      const facts = await options.rehearse();
      await evidence.write('facts.json', JSON.stringify(facts, undefined, 2));
      return {
        measurements: [
          ...judgeRehearsal(facts),
          ...judgeEffectFacts(facts.seen, options.accept).measurements,
          ...judgeWindow(facts.times, options.longestMs),
        ],
      };
    },
  };
}

interface Part {
  name: string;
  ms: number | undefined;
}

const partsOf = ({ compare, migrations, start, invariants, hold }: WindowTimes): Part[] =>
  [
    { name: 'comparison of both databases', ms: compare },
    { name: 'incompatible migrations', ms: migrations },
    { name: 'start of the new version', ms: start },
    { name: 'invariants', ms: invariants },
    { name: 'drain, fence, replay and flip, at the longest', ms: hold },
    { name: 'smoke tests and stack, a reserve', ms: reserveMs },
  ].map(({ name, ms }) => ({ name, ms: Number.isFinite(ms) ? ms : undefined }));

const known = (parts: readonly Part[]): number => parts.reduce((sum, { ms }) => sum + (ms ?? 0), 0);

/** How long users could not write, ms; undefined where a part of it is not known. */
export function expectedMsOf(times: WindowTimes): number | undefined {
  const parts = partsOf(times);
  return parts.every(({ ms }) => ms !== undefined) ? known(parts) : undefined;
}

/** What is not known is not taken for nothing. But where the rest alone takes too long, that is known. */
export function judgeWindow(times: WindowTimes, longestMs: number): Measurement[] {
  const parts = partsOf(times);
  const total = known(parts);
  const expected = expectedMsOf(times);
  const name = 'time without writes';
  const wanted = `<= ${formatDuration(longestMs)}`;
  const list = parts.map((part) => `${part.name} ${part.ms === undefined ? 'not known' : formatDuration(part.ms)}`);
  const long =
    `It is made of: ${list.join('; ')}. Make the longest of them shorter, or raise ` +
    'migrations.incompatible.readOnlyWindow.longestSeconds, if users can do without writing for so long.';
  return [
    ...parts.map((part): Measurement =>
      part.ms === undefined
        ? {
            name: part.name,
            measured: 'not known',
            wanted: 'measured',
            verdict: 'inconclusive',
            note: 'The journal does not have it: start the release again, with this version of Greenlight.',
          }
        : check(part.name, 'measured', formatDuration(part.ms), true),
    ),
    ...(expected === undefined && total <= longestMs
      ? []
      : [
          check(
            name,
            wanted,
            `${expected === undefined ? 'more than' : 'about'} ${formatDuration(total)}`,
            total <= longestMs,
            long,
          ),
        ]),
  ];
}
