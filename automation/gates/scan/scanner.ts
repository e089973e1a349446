import type { EvidenceFolder } from '../../journal/verdict.ts';

export const severities = ['info', 'low', 'medium', 'high'] as const;
/** From harmless to grave. */
export type Severity = (typeof severities)[number];

/** Something that a scanner found. */
export interface Finding {
  /** The rule's name as the scanner gives it: accepted risks refer to it. */
  rule: string;
  severity: Severity;
  /** URL path. */
  path: string;
  parameter?: string;
  /** One sentence, for a person. */
  detail: string;
}

export interface ScanTarget {
  /** Origin on loopback through which the application is reached. */
  origin: string;
  /** Pages from which the scan starts. */
  startPaths: string[];
  /** Seconds that the scan should take at most; twice of it ends it by force. */
  maxSeconds: number;
  evidence: EvidenceFolder;
  signal: AbortSignal;
}

export interface ScanReport {
  findings: Finding[];
  /** Names of the rules or modules that ran. */
  ran: string[];
  /** Those of them that ran out of time. */
  cut: string[];
}

/** A vulnerability scanner. Every method rejects with an OperationError. */
export interface Scanner {
  readonly name: string;
  version(): Promise<string>;
  /** Names of the rules or modules that it would run; none means that it can find nothing. */
  rules(): Promise<string[]>;
  scan(target: ScanTarget): Promise<ScanReport>;
  /** Ends what the scanner started. May be called again. */
  close(): Promise<void>;
}
