import { migrationRiskGates, migrationRisks, readOnlyWindowGateId } from '../../journal/migration-risks.ts';
import { passes } from '../../journal/verdict.ts';
import type { Facts, Risk } from './model.ts';
import {
  alertArrived,
  backupRestored,
  canaryJudged,
  everyWriteOnce,
  gatesOf,
  noFailedRequest,
  refusedAsApproved,
  summarise,
  tablesEqual,
  usersTold,
  wayBackLossless,
  type ProofOf,
} from './proofs.ts';

interface RiskLine {
  id: string;
  title: string;
  mitigations: { text: string; gates?: string[]; proof?: ProofOf }[];
  /** A verdict `fail` means that the damage occurred in this release. */
  occurred?: ProofOf;
  /** What this release brings of the risk by itself: each is open unless somebody has accepted it. */
  named?: (facts: Facts) => Risk['mitigations'];
}

/** The risk register: each risk with its mitigations and their proofs in this release. */
const register: readonly RiskLine[] = [
  {
    id: 'data-loss',
    title: 'Data loss',
    occurred: everyWriteOnce,
    mitigations: [
      {
        text: 'Every release restores its own backup and compares it',
        gates: ['backup-restore'],
        proof: backupRestored,
      },
      {
        text: 'A backup is restored and compared before a contract migration removes anything',
        gates: ['contract-backup'],
      },
      { text: 'The inactive database is compared with the live one before any write is held', gates: ['following'] },
      { text: 'Both databases are compared exactly at the cutover', proof: tablesEqual },
      { text: 'Every acknowledged write is looked up afterwards', proof: everyWriteOnce },
      {
        text: 'The old database follows the new one until the bake time ends',
        gates: ['way-back'],
        proof: wayBackLossless,
      },
    ],
  },
  {
    id: 'vulnerabilities',
    title: 'Vulnerabilities',
    mitigations: [
      { text: 'The running version is scanned before it gets traffic', gates: ['security-scan'] },
      { text: 'Encryption and authentication are audited', gates: ['tls', 'headers', 'authentication'] },
    ],
  },
  {
    id: 'performance',
    title: 'Poor performance',
    mitigations: [
      { text: 'A load test at the expected peak runs beforehand', gates: ['load'] },
      { text: 'Capacity is measured against the planned growth', gates: ['capacity'] },
      { text: 'The canary is compared with the live version before it gets more', proof: canaryJudged },
    ],
  },
  {
    id: 'disruption',
    title: 'Disruption for users',
    occurred: noFailedRequest,
    mitigations: [
      { text: 'Traffic moves in steps; writes wait for milliseconds instead of failing', proof: noFailedRequest },
      { text: 'Users and team are informed', proof: usersTold },
    ],
    named: namedByWindow,
  },
  {
    id: 'unforeseen',
    title: 'Unforeseen technical challenges',
    mitigations: [
      {
        text: 'Migrations and both versions are tested on a restored copy of the real data',
        gates: [
          'migration-rehearsal',
          'rehearsal-acceptance',
          'compatibility',
          'read-only-window',
          'contract-rehearsal',
        ],
      },
      { text: 'The same release runs in staging first', gates: ['acceptance', 'parity'] },
      { text: 'A rollback is possible, and it is known which data it would leave behind', proof: wayBackLossless },
    ],
  },
  {
    id: 'schema',
    title: 'A change of the schema that the old version or failback does not survive',
    mitigations: [
      {
        text: 'Every statement of the migrations is judged before anything runs, and what they did to a copy of the real data',
        gates: ['migrations', 'migration-effects'],
      },
    ],
    named: namedByMigrations,
  },
  {
    id: 'privacy',
    title: 'Breach of privacy',
    mitigations: [
      {
        text: 'Personal data is masked outside production; policies are machine-checked',
        gates: ['policies'],
      },
    ],
  },
  {
    id: 'servers',
    title: 'Failure of servers',
    mitigations: [
      { text: 'An instance is stopped to prove that the alert arrives', gates: ['alerts'], proof: alertArrived },
      { text: 'Backups are restored to prove them', proof: backupRestored },
      { text: 'Capacity is left when instances are lost', gates: ['capacity'] },
    ],
  },
];

export function buildRisks(facts: Facts): Risk[] {
  return register.map(({ id, title, mitigations, occurred, named }): Risk => {
    const rows = mitigations.map(({ text, gates: ids = [], proof }) => {
      const gates = gatesOf(facts, ids);
      const { verdict, measured } = summarise(gates, proof ? [proof(facts)] : []);
      return { text, verdict, proof: measured, gates: gates.map((gate) => gate.id) };
    });
    rows.push(...(named?.(facts) ?? []));
    const real = occurred?.(facts).verdict === 'fail';
    return {
      id,
      title,
      status: real ? 'occurred' : rows.every((row) => passes(row.verdict)) ? 'held' : 'open',
      mitigations: rows,
    };
  });
}

/** With a read-only window writes are refused, and that is to be no longer than was rehearsed and approved. */
function namedByWindow(facts: Facts): Risk['mitigations'] {
  if (facts.window === null) return [];
  const gates = gatesOf(facts, [readOnlyWindowGateId]);
  const { verdict, measured } = summarise(gates, [refusedAsApproved(facts)]);
  const text = 'Writes are refused in a read-only window, which is rehearsed and approved; reads go on';
  return [{ text, verdict, proof: measured, gates: gates.map(({ id }) => id) }];
}

function namedByMigrations({ gates }: Facts): Risk['mitigations'] {
  return migrationRiskGates.flatMap((id) =>
    migrationRisks(gates, [id]).map(({ rule, place, why, accepted }) => ({
      text: `${place}: ${why}`,
      verdict: accepted === undefined ? ('inconclusive' as const) : ('waived' as const),
      proof: accepted === undefined ? `${rule}: nobody has accepted it` : `${rule}, accepted: ${accepted}`,
      gates: [id],
    })),
  );
}
