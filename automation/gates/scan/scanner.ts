import type { EvidenceFolder } from '../../journal/verdict.ts';

export const severities = ['info', 'low', 'medium', 'high'] as const;
/** From least to most severe, in the order of `severities`. */
export type Severity = (typeof severities)[number];

export interface Finding {
  /** Name of the rule as the scanner gives it. Accepted risks refer to this name. */
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
  /** Longest duration of the scan, seconds. Wapiti is killed after twice this time. */
  maxSeconds: number;
  evidence: EvidenceFolder;
  signal: AbortSignal;
}

export interface ScanReport {
  findings: Finding[];
  /** Names of the rules or modules that were started. */
  ran: string[];
  /** Phases (`crawl`, `attack`, `passive scan`) and modules that ran out of time. */
  cut: string[];
}

/** A vulnerability scanner. Every method rejects with an OperationError. */
export interface Scanner {
  readonly name: string;
  version(): Promise<string>;
  /** Names of the rules or modules that a scan would run. With none it cannot find anything. */
  rules(): Promise<string[]>;
  scan(target: ScanTarget): Promise<ScanReport>;
  /** Ends the processes of the scanner. Idempotent. */
  close(): Promise<void>;
}
