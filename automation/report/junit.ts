import { XMLBuilder } from 'fast-xml-parser';
import type { ReportModel, GateRow } from './model/model.ts';
import { wayBackLossless } from './model/proofs.ts';

/** Children of a test case for XMLBuilder: `@` begins an attribute name, `#text` is the content. */
type Outcome = Partial<Record<'failure' | 'error' | 'skipped' | 'system-out', Record<string, string>>>;
interface TestCase extends Outcome {
  '@classname': string;
  '@name': string;
  '@time': string;
}

/**
 * `junit.xml`: one test case per gate and stage, so that a CI shows a release like a test run. `fail` is a failure,
 * `error` and `inconclusive` are errors, `not-run` is skipped, `waived` passes with the waiver in `system-out`.
 */
export function renderJUnit(model: ReportModel): string {
  const byStage = Map.groupBy(model.gates, (gate) => gate.stage ?? 'release');
  const gates = [...byStage].map(([stage, rows]) => ({
    name: `gates.${stage}`,
    cases: rows.map(gateCase),
    ms: sumMs(rows),
  }));
  const stages = model.stages.map(({ title, ms, verdict, reason }) =>
    testCase('stages', title, ms ?? 0, outcome(verdict === 'running' ? 'not-run' : verdict, reason ?? '')),
  );
  if (model.rollback !== null) stages.push(rollbackCase(model));
  const suites = [...gates, { name: 'stages', cases: stages, ms: model.overhead.wallMs }];
  const builder = new XMLBuilder({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    format: true,
    suppressBooleanAttributes: false,
    suppressEmptyNode: true,
  });
  return builder.build({
    '?xml': { '@version': '1.0', '@encoding': 'UTF-8' },
    testsuites: {
      '@name': valid(`${model.application} ${model.to.version} ${model.environment}`),
      ...counts(suites.flatMap(({ cases }) => cases)),
      '@time': seconds(model.overhead.wallMs),
      testsuite: suites.map(({ name, cases, ms }) => ({
        '@name': valid(name),
        ...counts(cases),
        '@time': seconds(ms),
        testcase: cases,
      })),
    },
  });
}

const sumMs = (rows: GateRow[]): number => rows.reduce((sum, { ms }) => sum + ms, 0);

function counts(cases: TestCase[]): Record<string, number> {
  const having = (outcome: keyof Outcome): number => cases.filter((one) => outcome in one).length;
  return {
    '@tests': cases.length,
    '@failures': having('failure'),
    '@errors': having('error'),
    '@skipped': having('skipped'),
  };
}

function gateCase(gate: GateRow): TestCase {
  const bad = gate.measurements.filter((m) => m.verdict !== 'pass');
  const detail = bad.map((m) => `${m.name}: ${m.measured} (wanted ${m.wanted})${m.note ? `. ${m.note}` : ''}`);
  const lines = [
    `${gate.measured} (wanted ${gate.wanted})`,
    ...detail,
    ...gate.evidence.map((path) => `evidence: ${path}`),
  ];
  const told = gate.verdict === 'not-run' ? gate.measured : lines.join('\n');
  return testCase(gate.id, gate.title, gate.ms, outcome(gate.verdict, told, gate.waiver));
}

/**
 * A rollback that kept every write is a passed test. Lost writes are a failure; an unknown or unfinished result is an
 * error.
 */
function rollbackCase(model: ReportModel): TestCase {
  const { verdict, measured } = wayBackLossless(model);
  return testCase('stages', 'Rollback', model.rollback?.ms ?? 0, outcome(verdict, measured));
}

const testCase = (className: string, name: string, ms: number, outcome: Outcome): TestCase => ({
  '@classname': valid(className),
  '@name': valid(name),
  '@time': seconds(ms),
  ...outcome,
});

function outcome(verdict: GateRow['verdict'], text: string, waiver?: GateRow['waiver']): Outcome {
  const said = { '@message': valid(text.split('\n')[0]!), '@type': verdict, '#text': valid(text) };
  switch (verdict) {
    case 'pass':
      return {};
    case 'waived':
      return {
        'system-out': {
          '#text': valid(
            // A single measurement is waived by the gate itself, and says why.
            waiver === undefined ? text : `waived by ${waiver.by} until ${waiver.expires}: ${waiver.reason}\n${text}`,
          ),
        },
      };
    case 'not-run':
      return { skipped: text === '' ? {} : { '@message': valid(text.split('\n')[0]!) } };
    case 'inconclusive':
    case 'error':
      return { error: said };
    case 'fail':
      return { failure: said };
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(3);

/** Replaces characters that XML 1.0 forbids. XMLBuilder escapes markup but does not remove them. */
const valid = (text: string): string =>
  // eslint-disable-next-line no-control-regex -- these are what XML forbids
  text.toWellFormed().replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, '\ufffd');
