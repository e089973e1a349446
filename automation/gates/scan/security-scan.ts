import { findTool } from '../../../infra/lib/tools.ts';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import { secrets } from '../../../infra/lib/redact.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { openForwarder, type ForwardedTraffic } from '../web/forwarder.ts';
import { severities, type Finding, type Scanner, type ScanReport, type Severity } from './scanner.ts';
import { wapiti } from './wapiti.ts';
import { zap } from './zap.ts';

/** An accepted finding (`security.acceptedRisks` of the release definition). */
export interface AcceptedRisk {
  rule: string;
  path?: string | undefined;
  reason: string;
  acceptedBy: string;
  /** ISO date: valid to the end of that day, UTC. */
  expires: string;
}

export interface SecurityScanGate {
  entry: EntryPoint;
  settings: {
    scanner: 'auto' | 'zap' | 'wapiti';
    maxSeconds: number;
    failOn: Exclude<Severity, 'info'>;
    acceptedRisks: readonly AcceptedRisk[];
    startPaths: string[];
  };
  /** Headers that select the header route; default: ordinary traffic. */
  headers?: Record<string, string>;
  now?: () => Date;
  /** Default: chosen by `settings.scanner` among what is installed. */
  open?: () => Promise<Scanner>;
}

/** Scans the running application actively. Fails on a finding of severity `failOn` or higher that is not accepted. */
export function securityScanGate(options: SecurityScanGate): Gate {
  const { entry, settings, headers = {}, now = () => new Date() } = options;
  return {
    id: 'security-scan',
    title: 'Security scan',
    async measure({ evidence, signal }) {
      for (const value of Object.values(headers)) secrets.register(value);
      const forwarder = await openForwarder(entry, headers);
      const started = performance.now();
      try {
        const scanner = await (options.open?.() ?? chooseScanner(settings.scanner));
        try {
          const { startPaths, maxSeconds } = settings;
          const rules = await rulesOf(scanner);
          const report = await scanner.scan({ origin: forwarder.origin, startPaths, maxSeconds, evidence, signal });
          const traffic = forwarder.seen();
          const scanned = `${scanner.name} ${await scanner.version()}`;
          await evidence.write(
            'scan.json',
            JSON.stringify({ scanner: scanned, rules, ...report, traffic }, undefined, 2),
          );
          return {
            measurements: judgeScan(scanned, rules, report, traffic, settings, now()),
            summary: {
              measured: `${scanned}: ${report.findings.length} findings, none open from ${settings.failOn} up; ${report.ran.length} rules, ${traffic.requests} requests`,
              wanted: `no open finding from ${settings.failOn} up`,
            },
            observationMs: Math.round(performance.now() - started),
          };
        } finally {
          await scanner.close();
        }
      } finally {
        // Also if closing the scanner failed: the proxy to the application must not stay open.
        await forwarder.close();
      }
    },
  };
}

/** The rules that a scanner would run. Throws an OperationError if it has none, because it could not find anything. */
async function rulesOf(scanner: Scanner): Promise<string[]> {
  const rules = await scanner.rules();
  if (rules.length > 0) return rules;
  throw new OperationError(
    `scanning with ${scanner.name} ${await scanner.version()}`,
    'it has no scan rules, so it cannot find anything',
    'install its complete release, or set security.scanner to wapiti',
  );
}

/** `auto`: ZAP if it is installed and has active rules, otherwise Wapiti. Else the scanner asked for. */
export async function chooseScanner(wanted: 'auto' | 'zap' | 'wapiti'): Promise<Scanner> {
  if (wanted === 'wapiti' || (wanted === 'auto' && findTool('zap') === undefined)) return wapiti();
  const started = await zap();
  if (wanted === 'zap') return started;
  // If ZAP cannot be asked for its rules, Wapiti is used.
  const rules = await started.rules().catch(() => []);
  if (rules.length > 0) return started;
  await started.close();
  return wapiti();
}

/** Judges one scan: coverage of the application, rules that ran, and the findings that are not accepted. */
export function judgeScan(
  scanner: string,
  rules: string[],
  report: ScanReport,
  traffic: ForwardedTraffic,
  settings: SecurityScanGate['settings'],
  now: Date,
): Measurement[] {
  const missed = settings.startPaths.filter((path) => !traffic.paths.includes(path.split('?', 1)[0] ?? path));
  const notRun = rules.filter((rule) => !report.ran.includes(rule));
  const unanswered = traffic.requests === 0 ? 0 : traffic.unanswered / traffic.requests;
  return [
    known(
      'application reached',
      `${traffic.requests} requests, ${traffic.paths.length} pages`,
      `every start path (${settings.startPaths.length})`,
      traffic.requests > 0 && missed.length === 0,
      `The scanner did not reach: ${missed.join(', ') || 'any page'}.`,
    ),
    known(
      'requests without an answer',
      `${traffic.unanswered}`,
      '<= 10 %',
      unanswered <= 0.1,
      'The application stopped answering during the scan.',
    ),
    known(
      'rules that ran',
      `${scanner}: ${report.ran.length} of ${rules.length}`,
      `all of ${rules.length}, >= 1`,
      report.ran.length > 0 && notRun.length === 0,
      `Did not run: ${notRun.join(', ') || 'no rule was started'}.`,
    ),
    known(
      'rules that ended in time',
      `${report.ran.length - report.cut.length}`,
      `${report.ran.length}`,
      report.cut.length === 0,
      `Out of time: ${report.cut.join(', ')}. Raise security.maxSeconds.`,
    ),
    ...judgeFindings(report.findings, settings, now),
  ];
}

/** A condition that must hold for the findings to be meaningful: inconclusive if it does not. */
function known(name: string, measured: string, wanted: string, ok: boolean, note: string): Measurement {
  return ok ? { name, measured, wanted, verdict: 'pass' } : { name, measured, wanted, verdict: 'inconclusive', note };
}

/** One measurement for all findings, and one for each of severity `failOn` or higher, accepted or not. */
export function judgeFindings(
  findings: Finding[],
  { failOn, acceptedRisks }: Pick<SecurityScanGate['settings'], 'failOn' | 'acceptedRisks'>,
  now: Date,
): Measurement[] {
  const grave = findings.filter(({ severity }) => severities.indexOf(severity) >= severities.indexOf(failOn));
  const wanted = `no open finding from ${failOn} up`;
  const listed = grave.map((finding): Measurement => {
    const { rule, path, severity, detail } = finding;
    const risk = acceptedRisks.find((r) => r.rule === rule && (r.path === undefined || r.path === path));
    const base = { name: `${rule}: ${path}`, wanted };
    if (risk === undefined) return { ...base, measured: severity, verdict: 'fail', note: detail };
    if (now.getTime() >= Date.parse(risk.expires) + 86_400_000) {
      return {
        ...base,
        measured: severity,
        verdict: 'fail',
        note: `${detail}. The risk was accepted until ${risk.expires} only.`,
      };
    }
    const note = `Accepted by ${risk.acceptedBy} until ${risk.expires}: ${risk.reason}`;
    return { ...base, measured: `${severity}, accepted`, verdict: 'pass', note };
  });
  const open = listed.filter(({ verdict }) => verdict === 'fail').length;
  const total = `${findings.length} findings, ${grave.length} from ${failOn} up, ${open} open`;
  return [check('findings', wanted, total, open === 0, 'The findings are listed below.'), ...listed];
}
