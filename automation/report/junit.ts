import type { ReportModel, GateRow } from './model/model.ts';
import { wayBackLossless } from './model/proofs.ts';

/**
 * `junit.xml`: one test case per gate and stage, so that any CI shows a release like a test run. `fail` is a failure,
 * `error` and `inconclusive` are errors (nothing was proven), `not-run` is skipped, `waived` passes and says so.
 */
export function renderJUnit(model: ReportModel): string {
  const byStage = new Map<string, GateRow[]>();
  for (const gate of model.gates) {
    const name = gate.stage ?? 'release';
    byStage.set(name, [...(byStage.get(name) ?? []), gate]);
  }
  const suites = [...byStage].map(([stage, gates]) =>
    suite(
      `gates.${stage}`,
      gates.map(gateCase),
      gates.reduce((sum, g) => sum + g.ms, 0),
    ),
  );
  const stages = model.stages.map((stage) =>
    testCase(
      'stages',
      stage.title,
      stage.ms ?? 0,
      outcome(stage.verdict === 'running' ? 'not-run' : stage.verdict, stage.reason ?? ''),
    ),
  );
  if (model.rollback !== null) stages.push(rollbackCase(model));
  suites.push(suite('stages', stages, model.overhead.wallMs));
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="${xml(`${model.application} ${model.to.version} ${model.environment}`)}"${counts(suites.join(''))} time="${seconds(model.overhead.wallMs)}">
${suites.join('\n')}
</testsuites>
`;
}

function suite(name: string, cases: string[], ms: number): string {
  const body = cases.join('\n');
  return `  <testsuite name="${xml(name)}"${counts(body)} time="${seconds(ms)}">\n${body}\n  </testsuite>`;
}

function counts(body: string): string {
  const count = (tag: string): number => body.split(`<${tag}`).length - 1;
  return ` tests="${count('testcase ')}" failures="${count('failure ')}" errors="${count('error ')}" skipped="${count('skipped')}"`;
}

function gateCase(gate: GateRow): string {
  const bad = gate.measurements.filter((m) => m.verdict !== 'pass');
  const detail = bad.map((m) => `${m.name}: ${m.measured} (wanted ${m.wanted})${m.note ? `. ${m.note}` : ''}`);
  const lines = [
    `${gate.measured} (wanted ${gate.wanted})`,
    ...detail,
    ...gate.evidence.map((path) => `evidence: ${path}`),
  ];
  return testCase(gate.id, gate.title, gate.ms, outcome(gate.verdict, lines.join('\n'), gate.waiver));
}

/** A way back that kept everything is a passed test; what it lost or left behind, or that nobody knows, is told as such. */
function rollbackCase(model: ReportModel): string {
  const { verdict, measured } = wayBackLossless(model);
  return testCase('stages', 'Rollback', model.rollback?.ms ?? 0, outcome(verdict, measured));
}

function testCase(className: string, name: string, ms: number, body: string): string {
  return `    <testcase classname="${xml(className)}" name="${xml(name)}" time="${seconds(ms)}">${body}</testcase>`;
}

function outcome(verdict: GateRow['verdict'], text: string, waiver?: GateRow['waiver']): string {
  const message = xml(text.split('\n')[0]!);
  switch (verdict) {
    case 'pass':
      return '';
    case 'waived':
      return `<system-out>${xml(`waived by ${waiver?.by ?? 'unknown'} until ${waiver?.expires ?? 'unknown'}: ${waiver?.reason ?? ''}\n${text}`)}</system-out>`;
    case 'not-run':
      return `<skipped/>`;
    case 'inconclusive':
    case 'error':
      return `<error message="${message}" type="${verdict}">${xml(text)}</error>`;
    case 'fail':
      return `<failure message="${message}" type="fail">${xml(text)}</failure>`;
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };

/** Escapes text, and replaces characters that XML 1.0 cannot hold at all. */
function xml(text: string): string {
  return (
    text
      .toWellFormed()
      // eslint-disable-next-line no-control-regex -- these are what XML forbids
      .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd')
      .replace(/[&<>"']/g, (c) => entities[c]!)
  );
}
