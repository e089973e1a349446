import { expect } from 'chai';
import { worst } from '../../../../../automation/journal/verdict.ts';
import { judgeFindings, judgeScan } from '../../../../../automation/gates/scan/security-scan.ts';
import type { Finding } from '../../../../../automation/gates/scan/scanner.ts';
import { readWapitiLog, readWapitiReport, wapitiArguments } from '../../../../../automation/gates/scan/wapiti.ts';
import { launched, readAlert } from '../../../../../automation/gates/scan/zap.ts';

const now = new Date('2026-06-15T12:00:00Z');
const finding: Finding = { rule: 'SQL Injection', severity: 'high', path: '/item', detail: 'in id' };
const risk = {
  rule: 'SQL Injection',
  reason: 'a decoy on purpose',
  acceptedBy: 'security officer',
  expires: '2026-06-15',
};
const settings = {
  scanner: 'auto' as const,
  maxSeconds: 60,
  failOn: 'medium' as const,
  acceptedRisks: [],
  startPaths: ['/', '/items?page=1'],
};

describe('findings of a scan', () => {
  const judged = (findings: Finding[], acceptedRisks: (typeof risk & { path?: string })[] = []) =>
    judgeFindings(findings, { failOn: 'medium', acceptedRisks }, now);
  const verdict = (...input: Parameters<typeof judged>) => worst(judged(...input).map((m) => m.verdict));

  it('fail from the configured severity up', () => {
    expect(verdict([finding])).to.equal('fail');
    expect(verdict([{ ...finding, severity: 'medium' }])).to.equal('fail');
    expect(verdict([{ ...finding, severity: 'low' }])).to.equal('pass');
  });

  it('pass when the risk is accepted, and are still shown', () => {
    const measurements = judged([finding], [risk]);
    expect(worst(measurements.map((m) => m.verdict))).to.equal('pass');
    expect(measurements[1]?.note).to.contain('security officer').and.to.contain('a decoy on purpose');
  });

  it('fail when the acceptance is of another rule, of another path, or over', () => {
    expect(verdict([finding], [{ ...risk, rule: 'XSS' }])).to.equal('fail');
    expect(verdict([finding], [{ ...risk, path: '/other' }])).to.equal('fail');
    expect(verdict([finding], [{ ...risk, expires: '2026-06-14' }])).to.equal('fail');
  });
});

describe('a scan', () => {
  const traffic = { requests: 50, unanswered: 0, statuses: { 200: 50 }, paths: ['/', '/items'] };
  const report = { findings: [], ran: ['sql', 'xss'], cut: [] };
  const verdict = (change: { traffic?: Partial<typeof traffic>; report?: { ran?: string[]; cut?: string[] } }) =>
    worst(
      judgeScan(
        'X 1',
        ['sql', 'xss'],
        { ...report, ...change.report },
        { ...traffic, ...change.traffic },
        settings,
        now,
      ).map((m) => m.verdict),
    );

  it('passes when it saw every start path and every rule ran', () => expect(verdict({})).to.equal('pass'));
  it('is inconclusive when nothing arrived at the application', () =>
    expect(verdict({ traffic: { requests: 0, paths: [] } })).to.equal('inconclusive'));
  it('is inconclusive when a start path was not seen', () =>
    expect(verdict({ traffic: { paths: ['/'] } })).to.equal('inconclusive'));
  it('is inconclusive when the application broke down', () =>
    expect(verdict({ traffic: { unanswered: 6 } })).to.equal('inconclusive'));
  it('is inconclusive when a rule did not run', () =>
    expect(verdict({ report: { ran: ['sql'] } })).to.equal('inconclusive'));
  it('is inconclusive when a rule ran out of time', () =>
    expect(verdict({ report: { cut: ['sql'] } })).to.equal('inconclusive'));
});

describe('Wapiti', () => {
  it('gets loopback, the start paths and bounds', () => {
    const argv = wapitiArguments({ origin: 'http://127.0.0.1:1', startPaths: ['/a'], maxSeconds: 40 }, ['sql', 'xss'], {
      report: '/r.json',
      work: '/w',
    });
    expect(argv.join(' '))
      .to.contain('--start http://127.0.0.1:1/a')
      .and.to.contain('--module sql,xss')
      .and.to.contain('--max-attack-time 10');
  });

  it("'s report gives findings with severities", () => {
    const entry = { path: '/item', info: 'via id', level: 4, parameter: 'id', module: 'sql' };
    const text = JSON.stringify({
      vulnerabilities: { 'SQL Injection': [entry], XSS: [{ ...entry, level: 2 }] },
      anomalies: {},
      additionals: { Methods: [entry] },
    });
    expect(readWapitiReport(text).map(({ rule, severity }) => `${rule} ${severity}`)).to.deep.equal([
      'SQL Injection high',
      'XSS medium',
      'Methods info',
    ]);
  });

  it("'s report is refused when it is empty, cut off or another file", () => {
    expect(() => readWapitiReport('')).to.throw('no report');
    expect(() => readWapitiReport('{"vulner')).to.throw('not JSON');
    expect(() => readWapitiReport('{}')).to.throw('no list of vulnerabilities');
  });

  it("'s log tells which modules ran, and which were cut", () => {
    const log =
      '[*] Launching module sql\n[*] Launching module xss\nMax attack time was reached for module xss, stopping.\n';
    expect(readWapitiLog(log)).to.deep.equal({ ran: ['sql', 'xss'], cut: ['xss'] });
    expect(readWapitiLog('Max scan time was reached, stopping.').cut).to.deep.equal(['crawl']);
  });
});

describe('ZAP', () => {
  it("'s alerts become findings; an unknown risk is grave", () => {
    const alert = {
      alert: 'XSS',
      risk: 'Medium',
      url: 'http://127.0.0.1:1/echo?q=1',
      param: 'q',
      description: 'Reflected.',
    };
    expect(readAlert(alert)).to.deep.equal({
      rule: 'XSS',
      severity: 'medium',
      path: '/echo',
      parameter: 'q',
      detail: 'Reflected.',
    });
    expect(readAlert({ alert: 'X', risk: 'Critical' }).severity).to.equal('high');
  });

  it("'s progress tells which rules were started", () => {
    const process = {
      HostProcess: [{ Plugin: ['SQL', '1', 'release', 'Complete'] }, { Plugin: ['XSS', '2', 'release', 'Pending'] }],
    };
    expect(launched(['http://127.0.0.1:1', process])).to.deep.equal(['SQL']);
  });
});
