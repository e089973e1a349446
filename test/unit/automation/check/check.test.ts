import { expect } from 'chai';
import { collect, renderEnd, renderLine, type CheckLine } from '../../../../automation/check/findings.ts';
import { linksIn } from '../../../../automation/check/requests.ts';

describe('the lines of check', () => {
  it('are handed on as they are found, in the manner of a compiler', () => {
    const shown: CheckLine[] = [];
    const found = collect((line) => shown.push(line));
    found.ok('GET /', 'status 200');
    found.error('application.build', 'it failed\nmake: no rule', 'run it by hand');
    expect(shown).to.deep.equal(found.lines);
    expect(shown.map(renderLine)).to.deep.equal([
      'ok       GET /: status 200',
      'error    application.build: it failed\n           make: no rule\n         cure: run it by hand',
    ]);
    expect(renderEnd(found.lines, 7.4)).to.equal('1 error, 0 warnings, in 7 s. Nothing was changed.');
  });

  it('ask for what the pages link to, and not for what ends a session or deletes', () => {
    const page = `<a href="/a?x=1&amp;y=2">a</a><a class="b" href='/b#c'>b</a><a href="/a?x=1&amp;y=2">again</a>
      <a href="https://elsewhere.example/">no</a><a href="//elsewhere.example">no</a><a href="/logout">no</a><a href="/users/1/delete">no</a>`;
    expect(linksIn(page)).to.deep.equal(['/a?x=1&y=2']);
  });
});
