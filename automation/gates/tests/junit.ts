import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { OperationError } from '../../../infra/lib/errors.ts';

export interface JUnitReport {
  /** Test cases that ran, without the skipped ones. */
  ran: number;
  skipped: number;
  /** `suite › test: message` of each case that failed or broke. */
  failures: string[];
}

type Node = Record<string, unknown>;
const list = (value: unknown): Node[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]) as Node[];

/**
 * Reads JUnit XML as common test runners write it, with nested suites. Counts the cases themselves. A suite that
 * declares more failures than it lists counts as failed too. Throws an OperationError if the XML is not well formed.
 */
export function parseJUnit(xml: string): JUnitReport {
  const valid = XMLValidator.validate(xml);
  if (valid !== true) {
    throw new OperationError(
      'reading the JUnit XML of the tests',
      `it is not well formed (line ${valid.err.line}: ${valid.err.msg})`,
      'check that the test command writes the whole file, and nothing else into it',
    );
  }
  // A report is not trusted: the number of expanded entities is limited, so that it cannot exhaust the memory.
  const root = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    parseTagValue: false,
    processEntities: { enabled: true, maxTotalExpansions: 10_000 },
    isArray: (name) => ['testsuite', 'testcase', 'failure', 'error'].includes(name),
  }).parse(xml) as Node;
  const report: JUnitReport = { ran: 0, skipped: 0, failures: [] };
  for (const name of ['testsuites', 'testsuite']) for (const suite of list(root[name])) readSuite(suite, '', report);
  return report;
}

function readSuite(suite: Node, parent: string, report: JUnitReport): void {
  // An element without content is parsed as an empty string.
  if (typeof suite !== 'object') return;
  const path = [parent, text(suite['@name'])].filter(Boolean).join(' › ');
  const before = report.failures.length;
  for (const inner of list(suite['testsuite'])) readSuite(inner, path, report);
  for (const test of list(suite['testcase'])) readCase(test, path, report);
  const declared = Number(suite['@failures'] ?? 0) + Number(suite['@errors'] ?? 0);
  const listed = report.failures.length - before;
  if (declared > listed) report.failures.push(`${path || 'suite'}: ${declared - listed} failures that are not listed`);
}

function readCase(test: Node, path: string, report: JUnitReport): void {
  if (typeof test === 'object' && 'skipped' in test) {
    report.skipped += 1;
    return;
  }
  report.ran += 1;
  const problem = list(test['failure'] ?? test['error'])[0];
  if (problem === undefined) return;
  const message = typeof problem === 'object' ? text(problem['@message']) || text(problem['#text']) : text(problem);
  const name = [path, text(test['@name'])].filter(Boolean).join(' › ');
  report.failures.push(message ? `${name}: ${message.split('\n', 1)[0]}` : name);
}

const text = (value: unknown): string => (typeof value === 'string' ? value.trim() : '');
