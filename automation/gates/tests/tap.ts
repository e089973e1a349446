import type { TestReport } from './report.ts';

const point = /^(not )?ok\b(?:[ \t]+(\d+))?[ \t]*(.*)$/;
const plan = /^1\.\.(\d+)[ \t]*(?:#[ \t]*(.*))?$/;
const directive = /(?<!\\)#[ \t]*(skip|todo)\b/i;

/**
 * Reads TAP 12, 13 or 14 from what a command printed. Subtests are indented: the test that closes one speaks for it. Lines that are
 * no TAP are output of the program. A number of tests that is not the planned one, a number that occurs twice and a bail-out are
 * failures; without a plan nobody knows whether all ran.
 */
export function parseTap(output: string): TestReport {
  const report: TestReport = { ran: 0, skipped: 0, failures: [] };
  const numbers = new Set<number>();
  let planned: number | undefined;
  let seen = 0;
  let inYaml = false;
  for (const line of output.split(/\r?\n/)) {
    // A block of details, indented by two, ends by its own mark.
    if (/^ {2}---(\s|$)/.test(line)) inYaml = true;
    else if (/^ {2}\.\.\.\s*$/.test(line)) inYaml = false;
    // A subtest may bail out, too, and ends everything.
    const bail = inYaml ? null : /^\s*Bail out!\s*(.*)$/.exec(line);
    if (bail !== null) {
      report.failures.push(`bailed out${bail[1] === '' ? '' : `: ${bail[1]}`}`);
      return report;
    }
    if (/^\s/.test(line)) continue;
    inYaml = false;
    const counted = plan.exec(line);
    if (counted !== null) {
      if (planned !== undefined) report.failures.push('the plan is there twice');
      planned = Number(counted[1]);
      continue;
    }
    const test = point.exec(line);
    if (test === null) continue;
    const [, not, number, description = ''] = test;
    seen += 1;
    const id = number === undefined ? seen : Number(number);
    if (numbers.has(id)) report.failures.push(`test ${id} is there twice`);
    numbers.add(id);
    const kind = directive.exec(description)?.[1]?.toLowerCase();
    if (kind !== undefined) report.skipped += 1;
    else report.ran += 1;
    // A test that is still to be made to work may fail. One that was skipped did not run.
    if (not !== undefined && kind === undefined)
      report.failures.push(description.replace(/^-\s*/, '').trim() || `test ${id}`);
  }
  if (planned === undefined) return { ...report, unknown: seen === 0 ? 'no TAP was printed' : 'it has no plan (1..n)' };
  if (planned !== seen) report.failures.push(`${planned} tests were planned, ${seen} are reported`);
  else if ([...numbers].some((id) => id > seen || id < 1)) report.failures.push('a number is outside of the plan');
  return report;
}
