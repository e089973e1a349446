import { expect } from 'chai';
import { parseTap } from '../../../../../automation/gates/tests/tap.ts';

const lines = (...all: string[]): string => `${all.join('\n')}\n`;

describe('TAP', () => {
  it('is read with the plan first or last, in versions 12, 13 and 14', () => {
    const good = { ran: 2, skipped: 0, failures: [] };
    expect(parseTap(lines('1..2', 'ok 1 - a', 'ok 2 - b'))).to.deep.equal(good);
    expect(parseTap(lines('TAP version 13', 'ok', 'ok', '1..2'))).to.deep.equal(good);
    expect(parseTap(lines('TAP version 14\r', '1..2\r', 'ok 1\r', 'ok 2\r'))).to.deep.equal(good);
  });

  it('names what failed', () =>
    expect(parseTap(lines('1..3', 'not ok 1 - adds', 'not ok', 'ok 3')).failures).to.deep.equal(['adds', 'test 2']));

  it('does not count what was skipped or is still to be done, also where it fails', () => {
    const report = parseTap(
      lines('1..4', 'ok 1 - a # SKIP no', 'ok 2 # skip', 'not ok 3 - c # TODO later', 'ok 4 - a \\# skip'),
    );
    expect(report).to.deep.equal({ ran: 1, skipped: 3, failures: [] });
    expect(parseTap('1..0 # SKIP no database\n')).to.deep.equal({ ran: 0, skipped: 0, failures: [] });
  });

  it('lets the test that closes a subtest speak for it', () => {
    const sub = ['    1..2', '    ok 1', '    not ok 2 - inner', 'not ok 1 - outer'];
    expect(parseTap(lines('TAP version 14', '1..1', '# Subtest: outer', ...sub))).to.deep.equal({
      ran: 1,
      skipped: 0,
      failures: ['outer'],
    });
  });

  it('takes blocks of details and output for neither tests nor plans', () => {
    const yaml = ['  ---', '  found: |', '    not ok 7', '    1..9', '    Bail out!', '  ...'];
    const report = parseTap(lines('okay then', 'not okay', '1..1', 'ok 1 - a', ...yaml, 'some output'));
    expect(report).to.deep.equal({ ran: 1, skipped: 0, failures: [] });
  });

  for (const [what, text, failure] of [
    ['fewer tests than planned', lines('1..3', 'ok 1', 'ok 2'), '3 tests were planned, 2 are reported'],
    ['more', lines('1..1', 'ok 1', 'ok 2'), '1 tests were planned, 2 are reported'],
    ['a number twice', lines('1..2', 'ok 1', 'ok 1'), 'test 1 is there twice'],
    ['a number outside of the plan', lines('1..2', 'ok 1', 'ok 5'), 'a number is outside of the plan'],
    ['two plans', lines('1..1', 'ok 1', '1..1'), 'the plan is there twice'],
    ['a bail-out', lines('1..2', 'ok 1', 'Bail out! no disk'), 'bailed out: no disk'],
    ['a bail-out of a subtest', lines('1..1', '    ok 1', '    Bail out!', 'ok 1'), 'bailed out'],
  ] as const)
    it(`fails with ${what}`, () => expect(parseTap(text).failures).to.deep.equal([failure]));

  it('does not say whether all ran where there is no plan', () => {
    expect(parseTap(lines('ok 1', 'ok 2')).unknown).to.equal('it has no plan (1..n)');
    expect(parseTap('all good\n').unknown).to.equal('no TAP was printed');
  });
});
