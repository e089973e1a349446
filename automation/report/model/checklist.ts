import type { Facts, Requirement } from './model.ts';
import {
  alertArrived,
  backupRestored,
  bakeWatched,
  canaryJudged,
  everyWriteOnce,
  gatesOf,
  noFailedRequest,
  refusedAsApproved,
  summarise,
  tablesEqual,
  usersTold,
  wayBackKnown,
  type ProofOf,
} from './proofs.ts';

interface Line {
  id: string;
  title: string;
  /** Ids of the gates that judge it. */
  gates: string[];
  proofs?: ProofOf[];
}

/** The requirements for going live, in the order of the report. */
export const requirements: readonly Line[] = [
  { id: 'unit', title: 'Unit tests', gates: ['unit-tests'] },
  { id: 'integration', title: 'Integration tests', gates: ['integration-tests'] },
  { id: 'acceptance', title: 'User acceptance tests', gates: ['acceptance', 'smoke'] },
  { id: 'performance', title: 'Performance and load: expected peak without degradation', gates: ['load'] },
  { id: 'scalability', title: 'Scalability: capacity for growth', gates: ['capacity'] },
  { id: 'security', title: 'Security tests: common web vulnerabilities', gates: ['security-scan'] },
  { id: 'audit', title: 'Security audit: encryption and authentication', gates: ['tls', 'headers', 'authentication'] },
  { id: 'privacy', title: 'Compliance and privacy', gates: ['policies'] },
  { id: 'backup', title: 'Backup and recovery', gates: ['backup-restore'], proofs: [backupRestored] },
  {
    id: 'migrations',
    title: 'Migrations judged and rehearsed; the old version runs on the new schema',
    gates: [
      'migrations',
      'migration-rehearsal',
      'migration-effects',
      'rehearsal-acceptance',
      'compatibility',
      'contract-rehearsal',
      'read-only-window',
    ],
    proofs: [wayBackKnown],
  },
  {
    id: 'transition',
    title: 'User data transition',
    gates: ['sync', 'following', 'data-comparison'],
    proofs: [tablesEqual, everyWriteOnce],
  },
  { id: 'monitoring', title: 'Monitoring and alerts', gates: ['alerts'], proofs: [alertArrived] },
  { id: 'parity', title: 'Staging mirrors production', gates: ['parity'] },
  { id: 'canary', title: 'Canary and bake time', gates: ['way-back'], proofs: [canaryJudged, bakeWatched] },
  { id: 'downtime', title: 'No downtime', gates: ['user-journey'], proofs: [noFailedRequest, refusedAsApproved] },
  { id: 'announcements', title: 'Users are told', gates: [], proofs: [usersTold] },
];

/** Judges every requirement by the gates and proofs of this release. Gates that no requirement names share one line. */
export function buildChecklist(facts: Facts): Requirement[] {
  const claimed = new Set<string>();
  const lines = requirements.map((line): Requirement => {
    const gates = gatesOf(facts, line.gates);
    for (const gate of gates) claimed.add(gate.id);
    const proofs = (line.proofs ?? []).map((proof) => proof(facts));
    return { id: line.id, title: line.title, ...summarise(gates, proofs), ...linksOf(gates) };
  });
  const others = facts.gates.filter((gate) => !claimed.has(gate.id));
  if (others.length === 0) return lines;
  return [...lines, { id: 'other', title: 'Further gates', ...summarise(others, []), ...linksOf(others) }];
}

function linksOf(gates: Facts['gates']): Pick<Requirement, 'gates' | 'evidence'> {
  return {
    gates: [...new Set(gates.map((gate) => gate.id))],
    evidence: [...new Set(gates.flatMap((gate) => gate.evidence))],
  };
}
