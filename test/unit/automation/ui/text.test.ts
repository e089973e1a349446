import { stripVTControlCharacters } from 'node:util';
import { expect } from 'chai';
import stringWidth from 'string-width';
import { columnsOf, fit, oneLine, painter, wantsColour, wrap } from '../../../../automation/ui/text.ts';

describe('text for terminals', () => {
  it('uses colour only where it is wanted', () => {
    const wants = (isTTY: boolean, env: Record<string, string>): boolean => wantsColour({ isTTY, env });
    expect(wants(true, {})).to.equal(true);
    expect(wants(false, {})).to.equal(false);
    expect(wants(true, { NO_COLOR: '1' })).to.equal(false);
    expect(wants(true, { NO_COLOR: '' })).to.equal(true);
    expect(wants(true, { TERM: 'dumb' })).to.equal(false);
    expect(wants(false, { FORCE_COLOR: '1' })).to.equal(true);
    expect(wants(true, { FORCE_COLOR: '0' })).to.equal(false);
    expect(painter(false)('bad', 'x')).to.equal('x');
    expect(painter(true)('bad', 'x')).to.equal('\x1b[31mx\x1b[39m');
  });

  it('takes a window of 0 columns for one whose size is not known', () => {
    expect(columnsOf({ columns: 0 })).to.equal(80);
    expect(columnsOf({ columns: 132 })).to.equal(132);
    expect(columnsOf({})).to.equal(undefined);
  });

  it('lets nothing through that steers the terminal', () => {
    const safe = oneLine('a\x1b[2Jb\nc\x1b]0;title\x07d\x9be\u202ef\x08');
    expect(safe).to.match(/^ab cd/);
    for (const control of ['\x1b', '\x07', '\x9b', '\u202e', '\x08', '\n']) expect(safe).not.to.include(control);
  });

  it('cuts to the width, also wide characters and emoji', () => {
    expect(fit('abcdef', 6)).to.equal('abcdef');
    expect(fit('abcdefg', 6)).to.equal('abcde…');
    for (const text of ['日本語のテキスト', '👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 'e\u0301e\u0301e\u0301e\u0301']) {
      for (let width = 1; width < 20; width += 1) expect(stringWidth(fit(text, width))).to.be.at.most(width);
    }
    expect(fit('日本語', 4)).to.equal('日…');
  });

  it('wraps within the width and loses no character', () => {
    const text =
      '    ✓ Load test: p95 of GET /api/日本語 was 612 ms (wanted: <= 300 ms), averyveryverylongwordthatfitsnowhereatall end';
    for (let width = 10; width < 130; width += 1) {
      const lines = wrap(text, width, '      ');
      for (const line of lines) expect(stringWidth(line), `${width}: ${line}`).to.be.at.most(width);
      expect(lines.join('').replaceAll(' ', '')).to.equal(text.replaceAll(' ', ''));
    }
    expect(wrap(text, 200, '  ')).to.deep.equal([text]);
    // A colour ends with each line, so that the indentation and whatever is printed next have none.
    const red = painter(true)('bad', 'one two three four');
    const lines = wrap(red, 9, '  ');
    expect(lines.map((line) => stripVTControlCharacters(line).trimEnd())).to.deep.equal([
      'one two',
      '  three',
      '  four',
    ]);
    for (const line of lines) expect(line.endsWith('\x1b[39m'), line).to.equal(true);
  });
});
