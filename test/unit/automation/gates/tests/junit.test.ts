import { expect } from 'chai';
import { type Verdict, worst } from '../../../../../automation/journal/verdict.ts';
import { decodeXml, parseJUnit } from '../../../../../automation/gates/tests/junit.ts';
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

  for (const [what, xml] of [
    ['GoogleTest, disabled', '<testcase name="x" status="notrun" result="suppressed" time="0."/>'],
    ['GoogleTest, skipped', '<testcase name="x" status="run" result="skipped"><skipped message="GPU"/></testcase>'],
    ['GoogleTest, before 1.10', '<testcase name="x" status="notrun" time="0"/>'],
    ['CTest, disabled', '<testcase name="x" status="disabled"><disabled/></testcase>'],
    ['CTest, not run', '<testcase name="x" status="notrun"><skipped message="Required Files Missing"/></testcase>'],
    ['an element alone', '<testcase name="x"><disabled/></testcase>'],
    ['a result alone', '<testcase name="x" result="skipped"/>'],
    ['Ginkgo', '<testcase name="x" status="pending"><skipped message="pending"/></testcase>'],
    ['Behave', '<testcase name="x" status="untested"/>'],
    ['NUnit', '<testcase name="x" executed="False"/>'],
    ['NUnit, inconclusive', '<testcase name="x" result="Inconclusive"/>'],
    ['xUnit', '<testcase name="x" status="Ignored"/>'],
    ['pytest', '<testcase name="x"><skipped type="pytest.skip" message="no">a.py:1: no</skipped></testcase>'],
    [
      "Node's runner, failing",
      '<testcase name="x"><skipped type="todo" message="true"/><failure message="no"/></testcase>',
    ],
  ])
    it(`[K4] does not count a test that did not run: ${what}`, () => {
      const suite = `<testsuite name="a">${xml}</testsuite>`;
      expect(parseJUnit(suite)).to.deep.equal({ ran: 0, skipped: 1, failures: [] });
      expect(verdict(suite)).to.equal('inconclusive');
    });

  for (const [what, xml, failures] of [
    ['a status alone', '<testcase name="x" status="failed"/>', ['a › x: failed']],
    ['Ginkgo, timed out', '<testcase name="x" status="timedout"/>', ['a › x: timedout']],
    [
      'a failure of a test that says it was skipped',
      '<testcase name="x" status="skipped"><failure message="no"/></testcase>',
      ['a › x: no'],
    ],
    [
      'an error beside output',
      '<testcase name="x"><system-out>fine</system-out><error message="no"/></testcase>',
      ['a › x: no'],
    ],
    [
      'Surefire, after its second run',
      '<testcase name="x"><failure message="no"/><rerunFailure message="no"/></testcase>',
      ['a › x: no'],
    ],
    ['the set-up of a suite', '<error message="no database"/><testcase name="x"/>', ['a: no database']],
  ] as const)
    it(`counts what failed: ${what}`, () =>
      expect(parseJUnit(`<testsuite name="a">${xml}</testsuite>`)).to.deep.equal({ ran: 1, skipped: 0, failures }));

  for (const status of ['run', 'passed', 'completed', 'success', 'OK'])
    it(`counts a test as run whose status is ${status}`, () =>
      expect(
        parseJUnit(`<testsuite><testcase name="x" status="${status}" result="completed"/></testsuite>`).ran,
      ).to.equal(1));

  it('counts a test that passed in its second run (flakyFailure) as passed', () =>
    expect(
      parseJUnit('<testsuite><testcase name="x"><flakyFailure message="no"/></testcase></testsuite>'),
    ).to.deep.equal({ ran: 1, skipped: 0, failures: [] }));

  it('[K3] is read with any number of the entities of XML', () => {
    const output = '&quot;&lt;&amp;&gt;&apos;'.repeat(10_001);
    const xml = `<testsuite name="a"><testcase name="x"><system-out>${output}</system-out></testcase><testcase name="&quot;y&quot;"><failure message="&lt;b&gt;"/></testcase></testsuite>`;
    expect(parseJUnit(xml)).to.deep.equal({ ran: 2, skipped: 0, failures: ['a › "y": <b>'] });
  });

  it('[K3] is refused with entities of its own, which can grow without end', () => {
    const bomb = '<!DOCTYPE t [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>';
    for (const before of ['', '<?xml version="1.0"?>\n<!-- a -->\n'])
      expect(() => parseJUnit(`${before}${bomb}<testsuite><testcase name="&b;"/></testsuite>`)).to.throw(
        'declares entities',
      );
    expect(
      parseJUnit('<!DOCTYPE testsuite SYSTEM "junit.dtd"><testsuite><testcase name="x"/></testsuite>').ran,
    ).to.equal(1);
    const text =
      '<testsuite><testcase name="x"><system-out><![CDATA[<!DOCTYPE a [<!ENTITY b "c">]>]]></system-out></testcase></testsuite>';
    expect(parseJUnit(text).ran).to.equal(1);
  });

  it('is read with several roots, without suites, with a mark, and with a prefix', () => {
    const one = '<?xml version="1.0" encoding="UTF-8"?>\n<testsuite><testcase name="x"/></testsuite>\n';
    expect(parseJUnit(one + one).ran).to.equal(2);
    expect(parseJUnit(`\ufeff${one}`).ran).to.equal(1);
    expect(parseJUnit('<testcase name="x"/>').ran).to.equal(1);
    expect(parseJUnit('<j:testsuite xmlns:j="j"><j:testcase name="x"/></j:testsuite>').ran).to.equal(1);
    expect(parseJUnit('<testsuites><testsuite name="a" tests="0"/></testsuites>').ran).to.equal(0);
  });

  it('is read in the encoding that it has', () => {
    const xml = '<testsuite name="größe"/>';
    const utf16 = Buffer.from(`\ufeff${xml}`, 'utf16le');
    expect(decodeXml(utf16)).to.equal(xml);
    expect(decodeXml(Buffer.from(xml, 'utf16le'))).to.equal(xml);
    expect(decodeXml(Buffer.from(utf16).swap16())).to.equal(xml);
    expect(decodeXml(Buffer.from(`\ufeff${xml}`))).to.equal(xml);
    const latin = `<?xml version="1.0" encoding="ISO-8859-1"?>${xml}`;
    expect(decodeXml(Buffer.from(latin, 'latin1'))).to.equal(latin);
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
