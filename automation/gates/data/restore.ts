import type { IndexCheck, StructureComparison, TableComparison } from '../../journal/events.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { dataGate, judgeComparison, nothingThere, within } from './judging.ts';

/** Result of restoring a backup into a scratch cluster. */
export interface RestoreFacts {
  /** The restored tables (right) against the state that was backed up (left). */
  tables: TableComparison[];
  /** The restored catalog and sequences against those that were backed up. */
  structure: StructureComparison;
  /** The measured RTO: from the start of the restore until the database answered. */
  recoveryTimeMs: number;
  /** The measured RPO: age of the restored state when the backup was complete. Later writes would have been lost. */
  recoveryPointMs: number;
  bytes: number;
  /** Files of users that were backed up, restored and compared. Absent: the application has none. */
  files?: { count: number; bytes: number } | undefined;
  /** Whether the restored configuration equals the one that was backed up. */
  configurationEqual: boolean;
}

/** Longest acceptable recovery time (RTO) and recovery point (RPO), milliseconds. */
export interface RecoveryLimits {
  timeMs: number;
  pointMs: number;
}

/** Restores a backup and compares it with the state that was backed up. */
export function backupRestoreGate(options: {
  id: string;
  title: string;
  restore: () => Promise<RestoreFacts>;
  limits: RecoveryLimits;
}): Gate {
  return dataGate(options.id, options.title, options.restore, (facts) => judgeRestore(facts, options.limits));
}

export function judgeRestore(facts: RestoreFacts, limits: RecoveryLimits): Measurement[] {
  return [
    ...judgeComparison(facts.tables),
    ...judgeStructure(facts.structure),
    ...judgeIndexes(facts.structure.indexes),
    check(
      'backup',
      'not empty',
      `${facts.bytes} bytes`,
      facts.bytes > 0,
      'The backup is empty: restoring it would recover no data.',
    ),
    ...judgeFiles(facts.files),
    check(
      'configuration',
      'restored as backed up',
      facts.configurationEqual ? 'equal' : 'differs',
      facts.configurationEqual,
    ),
    within('recovery time', facts.recoveryTimeMs, limits.timeMs),
    within('recovery point', facts.recoveryPointMs, limits.pointMs),
  ];
}

/** Files that differ make the restore itself reject. */
const judgeFiles = (files: RestoreFacts['files']): Measurement[] =>
  files === undefined
    ? []
    : [check('files', 'every byte as backed up', `${files.count} files, ${files.bytes} bytes, equal`, true)];

/** How many texts of a kind become measurements. The evidence has all. */
const namedAtMost = 20;

/** No object at all is inconclusive: then a wrong or an empty database was looked at. So is what could not be judged. */
function judgeStructure({
  objects,
  sequences,
  sequencesLeftOut,
  different,
  unknown,
}: StructureComparison): Measurement[] {
  const name = 'objects and sequences compared';
  const wanted = 'as backed up';
  if (objects === 0) return [nothingThere(name, wanted, 'No object was found: check the database.')];
  const leftOut = sequencesLeftOut === 0 ? '' : ` (${sequencesLeftOut} not judged)`;
  const measured = `${objects} objects, ${sequences} sequences${leftOut}, ${different.length} differ`;
  return [
    check(name, wanted, measured, different.length === 0, 'The first of them are listed below, all in the evidence.'),
    ...different
      .slice(0, namedAtMost)
      .map((text) => check('restored', wanted, text, false, 'A database restored from this backup would differ.')),
    ...unknown.slice(0, namedAtMost).map((text): Measurement => ({
      name: 'restored',
      measured: text,
      wanted,
      verdict: 'inconclusive',
      note: 'Start the release again while nobody changes the schema; a sequence that cannot be read needs a GRANT to the administrator.',
    })),
  ];
}

/** A damaged index fails: the live database has it, too. Indexes that were not checked do not: most databases never check theirs. */
function judgeIndexes(found: IndexCheck | undefined): Measurement[] {
  if (found === undefined) return [];
  const { checked, of, damaged, reason } = found;
  const measured = `${checked} of ${of} checked, ${damaged.length} damaged${reason === undefined ? '' : ` (${reason})`}`;
  return [
    check('indexes', 'none damaged', measured, damaged.length === 0, 'Repair them on the live database first.'),
    ...damaged
      .slice(0, namedAtMost)
      .map((text) => check('index', 'as its table', text, false, 'A replication loses changes by such an index.')),
  ];
}
