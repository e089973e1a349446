import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { OperationError } from '../../../infra/lib/errors.ts';
import type { TestReport } from './report.ts';

type Node = Record<string, unknown>;
const list = (value: unknown): Node[] => (Array.isArray(value) ? value : value === undefined ? [] : [value]) as Node[];

/**
 * Reads JUnit XML as test runners write it, with nested suites, and with several documents one after the other. Counts the cases
 * themselves. A suite that declares more failures than it lists counts as failed too. Throws an OperationError if the XML is not well
 * formed, or declares entities.
 */
export function parseJUnit(xml: string): TestReport {
  // Some runners write a document per suite into one file, which has several roots then.
  const one = `<all>${xml.replaceAll(/<\?xml[^>]*\?>|\ufeff/g, '').replace(prolog, refuseEntities)}</all>`;
  const valid = XMLValidator.validate(one);
  if (valid !== true) {
    throw new OperationError(
      doing,
      `it is not well formed (line ${valid.err.line}: ${valid.err.msg})`,
      'check that the test command writes the whole file, and nothing else into it',
    );
  }
  const { all } = new XMLParser({
    ignoreAttributes: false,
    attributeNamePrefix: '@',
    removeNSPrefix: true,
    parseTagValue: false,
    // Without a document type there are the five entities of XML, none of which grows: output of tests may hold any number.
    processEntities: { enabled: true, maxTotalExpansions: Infinity, maxExpandedLength: Infinity },
    isArray: (name) => ['testsuite', 'testcase', 'failure', 'error'].includes(name),
  }).parse(one) as { all: Node | '' };
  const report: TestReport = { ran: 0, skipped: 0, failures: [] };
  if (all === '') return report;
  for (const name of ['testsuites', 'testsuite', 'testcase'])
    for (const root of list(all[name])) (name === 'testcase' ? readCase : readSuite)(root, '', report);
  return report;
}

const doing = 'reading the JUnit XML of the tests';

/** A document type, with what may stand before it. */
const prolog = /^(?:\s|<!--[^]*?-->|<\?[^]*?\?>)*<!DOCTYPE[^[>]*(?:\[[^]*?\]\s*)?>/;

/** A report is not trusted: entities of its own could grow without end. */
function refuseEntities(found: string): string {
  if (!/<!ENTITY/i.test(found)) return '';
  throw new OperationError(doing, 'it declares entities (<!ENTITY>)', 'let the test command write plain JUnit XML');
}

/** The text of a file as XML declares it: UTF-8, UTF-16 with or without a mark, or another encoding that it names. */
export function decodeXml(bytes: Uint8Array): string {
  const [a, b] = bytes;
  if ((a === 0xff && b === 0xfe) || (a === 0x3c && b === 0)) return new TextDecoder('utf-16le').decode(bytes);
  if ((a === 0xfe && b === 0xff) || (a === 0 && b === 0x3c)) return new TextDecoder('utf-16be').decode(bytes);
  const head = Buffer.from(bytes.subarray(0, 200)).toString('latin1');
  const [, named = 'utf-8'] = /^(?:\xef\xbb\xbf)?<\?xml[^>]*\bencoding\s*=\s*["']([\w.-]+)["']/.exec(head) ?? [];
  try {
    return new TextDecoder(/^utf-?16/i.test(named) ? 'utf-8' : named).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

function readSuite(suite: Node, parent: string, report: TestReport): void {
  // An element without content is parsed as an empty string.
  if (typeof suite !== 'object') return;
  const path = [parent, text(suite['@name'])].filter(Boolean).join(' › ');
  const before = report.failures.length;
  for (const inner of list(suite['testsuite'])) readSuite(inner, path, report);
  for (const test of list(suite['testcase'])) readCase(test, path, report);
  // Of the suite itself: its set-up broke.
  for (const problem of problemsOf(suite)) report.failures.push(`${path || 'suite'}${messageOf(problem)}`);
  const declared = Number(suite['@failures'] ?? 0) + Number(suite['@errors'] ?? 0);
  const listed = report.failures.length - before;
  if (declared > listed) report.failures.push(`${path || 'suite'}: ${declared - listed} failures that are not listed`);
}

/**
 * What runners write of a test that did not run, as an element of the case or as the value of `status` or `result`: GoogleTest
 * (`notrun`, `suppressed`), CTest (`disabled`), Ginkgo (`pending`), Behave (`untested`), NUnit (`inconclusive`, `ignored`).
 */
const notRun =
  /^(?:skip(?:ped)?|disabled|not[-_ ]?run|not[-_ ]?executed|suppressed|ignored?|pending|untested|inconclusive|blocked|todo|deselected|excluded)$/i;
/** The same of one that failed, where no element says so. */
const failed =
  /^(?:fail(?:ed|ure)?|error(?:ed)?|broken|panicked|timed[-_ ]?out|timeout|aborted|interrupted|crashed|undefined|killed)$/i;

const statuses = (test: Node): string[] => [text(test['@status']), text(test['@result'])];
const problemsOf = (node: Node): unknown[] => [...list(node['failure']), ...list(node['error'])];

function readCase(test: Node, path: string, report: TestReport): void {
  const has = typeof test === 'object' ? test : {};
  const [problem] = problemsOf(has);
  const elements = Object.keys(has).filter((name) => !name.startsWith('@') && notRun.test(name));
  // Node's runner writes both of a test that is still to be made to work, and does not count its failure.
  const isTodo = list(has['skipped']).some((skipped) => text(skipped['@type']) === 'todo');
  const skipped =
    elements.length > 0 || statuses(has).some((one) => notRun.test(one)) || /^false$/i.test(text(has['@executed']));
  if (skipped && (problem === undefined || isTodo)) {
    report.skipped += 1;
    return;
  }
  report.ran += 1;
  const bad = statuses(has).find((one) => failed.test(one));
  if (problem === undefined && bad === undefined) return;
  const name = [path, text(has['@name'])].filter(Boolean).join(' › ');
  report.failures.push(`${name}${problem === undefined ? `: ${bad}` : messageOf(problem)}`);
}

function messageOf(problem: unknown): string {
  const isNode = typeof problem === 'object' && problem !== null;
  const node = problem as Node;
  const [message = ''] = (isNode ? text(node['@message']) || text(node['#text']) : text(problem)).split('\n', 1);
  return message === '' ? '' : `: ${message}`;
}

const text = (value: unknown): string => (typeof value === 'string' ? value.trim() : '');
