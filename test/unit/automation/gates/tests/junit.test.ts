import { expect } from 'chai';
import { type Verdict, worst } from '../../../../../automation/journal/verdict.ts';
import { parseJUnit } from '../../../../../automation/gates/tests/junit.ts';
import { judgeTests } from '../../../../../automation/gates/tests/tests.ts';
import type { JobResult } from '../../../../../infra/platform/jobs.ts';

const job = (result: Partial<JobResult> = {}): JobResult => ({
  exitCode: 0,
  timedOut: false,
  ms: 1,
  tail: 'last line',
  ...result,
});
const verdict = (xml: string | undefined, result?: Partial<JobResult>): Verdict =>
  worst(judgeTests(xml === undefined ? undefined : parseJUnit(xml), job(result), 1000).map((m) => m.verdict));

const passing =
  '<testsuites><testsuite name="a"><testcase name="x"/><testcase name="y"></testcase></testsuite></testsuites>';

describe('JUnit XML', () => {
  it('is read with nested suites, with cases outside of suites, and with a lone suite', () => {
    expect(parseJUnit(passing)).to.deep.equal({ ran: 2, skipped: 0, failures: [] });
    expect(
      parseJUnit(
        '<testsuites><testcase name="x"/><testsuite name="a"><testsuite name="b"><testcase name="y"/></testsuite></testsuite></testsuites>',
      ).ran,
    ).to.equal(2);
    expect(
      parseJUnit('<?xml version="1.0"?><testsuite name="a" tests="1"><testcase name="x"/></testsuite>').ran,
    ).to.equal(1);
  });

  it('names what failed, by its suites and its message', () => {
    const xml =
      '<testsuite name="login"><testcase name="ok"/><testcase name="bad"><failure message="401 &lt; 200">stack</failure></testcase><testcase name="broke"><error>TypeError: x\nat y</error></testcase></testsuite>';
    expect(parseJUnit(xml).failures).to.deep.equal(['login › bad: 401 < 200', 'login › broke: TypeError: x']);
  });

  it('counts an empty failure element, and failures that a suite only declares', () => {
    expect(
      parseJUnit('<testsuite name="a"><testcase name="x"><failure/></testcase></testsuite>').failures,
    ).to.deep.equal(['a › x']);
    expect(parseJUnit('<testsuite name="a" failures="2"><testcase name="x"/></testsuite>').failures).to.have.length(1);
  });

  it('does not count skipped tests as tests that ran', () => {
    expect(parseJUnit('<testsuite><testcase name="x"><skipped/></testcase></testsuite>')).to.include({
      ran: 0,
      skipped: 1,
    });
  });

  it('is refused when it is cut off', () => {
    expect(() => parseJUnit('<testsuites><testsuite name="a"><testcase')).to.throw('not well formed');
  });
});

describe('a run of tests', () => {
  it('passes when tests ran, none failed and the command ended well', () => {
    expect(verdict(passing)).to.equal('pass');
  });

  it('is inconclusive without a test or without a file', () => {
    expect(verdict('<testsuites/>')).to.equal('inconclusive');
    expect(verdict('<testsuite name="a" tests="5"></testsuite>')).to.equal('inconclusive');
    expect(verdict(undefined)).to.equal('inconclusive');
  });

  it('fails on one failed test even with exit code 0, and on a bad exit code even without a failed test', () => {
    expect(verdict('<testsuite><testcase name="x"><failure/></testcase></testsuite>')).to.equal('fail');
    expect(verdict(passing, { exitCode: 1 })).to.equal('fail');
  });

  it('is an error when the command was killed, timed out, or broke before it wrote results', () => {
    expect(verdict(passing, { exitCode: undefined })).to.equal('error');
    expect(verdict(passing, { timedOut: true, exitCode: undefined })).to.equal('error');
    expect(verdict(undefined, { exitCode: 1 })).to.equal('error');
  });

  it('names at most five failures and counts the rest', () => {
    const cases = Array.from({ length: 7 }, (_, i) => `<testcase name="t${i}"><failure/></testcase>`).join('');
    const note = judgeTests(parseJUnit(`<testsuite>${cases}</testsuite>`), job({ exitCode: 7 }), 1000).at(-1)?.note;
    expect(note).to.contain('t4').and.to.contain('and 2 more').and.not.to.contain('t5');
  });
});
