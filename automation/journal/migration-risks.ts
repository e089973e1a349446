import { acceptableRules, type AcceptableRule } from '../config/migration-rules.ts';
import type { GateResult, Measurement } from './verdict.ts';

/** The gate that judges migrations, and how it names a risk in a measurement: the register of risks reads it from there. */
export const migrationsGateId = 'migrations';
/** The gate that judges what the migrations did to the copy. */
export const migrationEffectsGateId = 'migration-effects';
/** The gate that runs the incompatible migrations on the copy. */
export const readOnlyWindowGateId = 'read-only-window';
/** Every gate that names such risks. */
export const migrationRiskGates = [
  migrationsGateId,
  migrationEffectsGateId,
  readOnlyWindowGateId,
  'contract-rehearsal',
] as const;

const acceptedMark = 'Accepted: ';

/** Something that a migration does and that the release may go on with, named before the approval. */
export interface MigrationRisk {
  rule: AcceptableRule;
  /** `004_x.sql:3`. */
  place: string;
  why: string;
  /** Why the release definition accepts it; undefined where it does not. */
  accepted?: string;
}

/** Its measurement. `stops`: the release only goes on because it is accepted. */
export const riskMeasurement = (
  { rule, place, why, accepted }: MigrationRisk,
  { stops, instead }: { stops: boolean; instead: string },
): Measurement => ({
  name: `${rule} ${place}`,
  measured: why,
  wanted: stops ? 'nothing that stops a release' : 'named before the approval',
  verdict: !stops ? 'pass' : accepted === undefined ? 'fail' : 'waived',
  note: accepted === undefined ? `${place}: ${instead}.` : `${acceptedMark}${accepted}`,
});

const choice =
  'Where users can do without writing for a while, it can be in migrations.incompatible, which runs in a read-only window (docs/migrations.md).';

/** Says after the last finding that ends the release what else can be done about all of them. */
export function withChoice(found: readonly Measurement[]): Measurement[] {
  const last = found.findLastIndex(({ name, verdict }) => verdict === 'fail' && name.startsWith('breaks-'));
  return found.map((one, index) => (index === last ? { ...one, note: [one.note, choice].join(' ') } : one));
}

/** The risks that the last run of each of these gates has named. */
export function migrationRisks(
  gates: readonly GateResult[],
  of: readonly string[] = migrationRiskGates,
): MigrationRisk[] {
  return of.flatMap((id) => risksOf(gates.findLast((gate) => gate.id === id)));
}

const risksOf = (gate: GateResult | undefined): MigrationRisk[] =>
  (gate?.measurements ?? []).flatMap(({ name, measured, verdict, note = '' }) => {
    const rule = acceptableRules.find((known) => name.startsWith(`${known} `));
    if (rule === undefined || verdict === 'fail') return [];
    const risk = { rule, place: name.slice(rule.length + 1), why: measured };
    return [note.startsWith(acceptedMark) ? { ...risk, accepted: note.slice(acceptedMark.length) } : risk];
  });
