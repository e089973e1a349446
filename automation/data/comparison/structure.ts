import type pg from 'pg';
import { grantedWrites } from '../../../infra/application/roles.ts';
import type { StructureComparison } from '../../journal/events.ts';
import { compareObjects, keyOf, type DatabaseObject } from '../objects/compare.ts';
import { readObjects } from '../objects/read.ts';
import { readSequences, type SequenceState } from './sequences.ts';

/** What a database has beside its rows. It has no snapshot: it is read as it is at the time. */
export interface Structure {
  objects: DatabaseObject[];
  sequences: SequenceState[];
  /** Sequences that the session may not read, with the reason. */
  unreadable: { name: string; reason: string }[];
}

/** Values that PostgreSQL writes to its log ahead of those that it gives out (SEQ_LOG_VALS in commands/sequence.c). A crash or a backup skips them. */
const loggedAhead = 32n;

/** Reads what the session, as admin and without an open transaction, may see. */
export async function readStructure(client: pg.Client): Promise<Structure> {
  const unreadable: Structure['unreadable'] = [];
  const objects = (await readObjects(client)).filter(isRestored);
  const all = (): boolean => true;
  const sequences = await readSequences(client, all, (name, reason) => void unreadable.push({ name, reason }));
  return { objects, sequences, unreadable };
}

/** A restore drops what connects a database with others, and takes the application's right to write. */
const isRestored = ({ kind, name }: DatabaseObject): boolean =>
  !['publication', 'subscription', 'replication slot'].includes(kind) &&
  !/^on (publication|subscription) /.test(name) &&
  !(kind === 'membership' && name === grantedWrites);

/**
 * `before` and `after`: the original. `changed`: whether its catalog was changed in between, also if it was changed
 * back.
 */
export async function compareStructures(
  [before, after]: [Structure, Structure],
  copy: Structure,
  changed: () => Promise<boolean>,
): Promise<StructureComparison> {
  const { different, unknown } = await compareCatalogs([before, after], copy, changed);
  const sequences = compareSequences([before, after], copy);
  const unread = [before, after, copy].flatMap(({ unreadable }) => unreadable);
  const reasons = new Map(unread.map(({ name, reason }) => [name, `sequence ${name} cannot be read: ${reason}`]));
  return {
    objects: after.objects.length,
    sequences: sequences.compared,
    sequencesLeftOut: sequences.leftOut,
    different: [...different, ...sequences.different],
    unknown: [...unknown, ...reasons.values()],
  };
}

async function compareCatalogs(
  [before, after]: [Structure, Structure],
  copy: Structure,
  changed: () => Promise<boolean>,
): Promise<Pick<StructureComparison, 'different' | 'unknown'>> {
  const was = new Map(before.objects.map((object) => [keyOf(object), object.definition]));
  const found = compareObjects(after.objects, copy.objects).map((one) => ({ ...one, old: was.get(keyOf(one)) }));
  const wrong = found.filter(({ old, right }) => old !== right);
  const text = ({ kind, name, left, right }: (typeof wrong)[number]): string =>
    `${kind} ${name} ${right === undefined ? 'is missing' : left === undefined ? 'is only in the copy' : 'differs'}`;
  const stayed = wrong.filter(({ old, left }) => old === left);
  // What the copy alone has proves nothing if it may have come and gone meanwhile, as a table does that is needed for a moment.
  const passing = stayed.some(({ left }) => left === undefined) && (await changed());
  return {
    different: stayed.filter(({ left }) => left !== undefined || !passing).map(text),
    unknown: wrong
      .filter(({ old, left }) => old !== left)
      .map((one) => `${text(one)}: it was changed during the backup, and is as neither before nor after`),
  };
}

/** A copy has every value that was given out before the backup, and none that was not given out after it, but for those logged ahead. */
function compareSequences(
  [before, after]: [Structure, Structure],
  copy: Structure,
): { compared: number; leftOut: number; different: string[] } {
  const [was, there] = [before, copy].map(
    ({ sequences }) => new Map(sequences.map((sequence) => [sequence.name, sequence])),
  ) as [Map<string, SequenceState>, Map<string, SequenceState>];
  const result = { compared: 0, leftOut: 0, different: [] as string[] };
  for (const { name, last, step, steady } of after.sequences) {
    const [old, theirs] = [was.get(name), there.get(name)];
    // The catalog says so.
    if (old === undefined || theirs === undefined) continue;
    const steps = (from: bigint, to: bigint): bigint => (step > 0n ? to - from : from - to);
    if (!steady || old.step !== step || steps(old.last, last) < 0n) {
      result.leftOut += 1;
      continue;
    }
    result.compared += 1;
    const most = loggedAhead * (step > 0n ? step : -step);
    const where = `sequence ${name} is at ${theirs.last}`;
    if (steps(old.last, theirs.last) < 0n)
      result.different.push(`${where} and would give out values again: it was at ${old.last} before the backup`);
    else if (steps(last, theirs.last) > most)
      result.different.push(`${where}, which is too far: it was at ${last} after the backup`);
  }
  return result;
}
