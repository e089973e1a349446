import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { expect } from 'chai';
import type { JournalEntry } from '../../../../automation/journal/events.ts';
import { buildReport } from '../../../../automation/report/model/build.ts';
import { fileLink, html } from '../../../../automation/report/html/html.ts';
import { renderHtml } from '../../../../automation/report/html/page.ts';
import { renderJUnit } from '../../../../automation/report/junit.ts';
import { journalOf, type Outcome } from '../../../lib/journals.ts';

const outcomes: Outcome[] = ['go', 'rolled-back', 'no-go', 'unfinished', 'aborted'];
const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>\u0000\u202e&amp;`;

/** Every text that came in from outside, replaced; what the product itself chooses from stays. */
function poisoned(): JournalEntry[] {
  const own = new Set([
    'type',
    'at',
    'verdict',
    'stage',
    'id',
    'colour',
    'live',
    'kind',
    'direction',
    'moment',
    'phase',
    'how',
    'level',
    'prev',
    'environment',
    'from',
    'to',
    'by',
  ]);
  const poison = (value: unknown, key = ''): unknown => {
    if (typeof value === 'string') return own.has(key) ? value : evil;
    if (Array.isArray(value)) return value.map((item) => poison(item));
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, poison(v, k)]));
  };
  return journalOf('rolled-back').map((entry) => poison(entry) as JournalEntry);
}

describe('html template', () => {
  it('escapes what is filled in, and only that', () => {
    expect(html`<b title="${'"'}">${'<&>'}</b>${[html`<i>${1}</i>`, ' ', null, undefined, false]}`.text).to.equal(
      '<b title="&#34;">&#60;&#38;&#62;</b><i>1</i> ',
    );
    expect(html`${'\u202e\u0007'}`.text).to.equal('\ufffd\ufffd');
  });

  it('links only to files of the release', () => {
    expect(fileLink('evidence/load/a b#1?.json').text).to.equal(
      '<a href="evidence/load/a%20b%231%3F.json">load/a b#1?.json</a>',
    );
    for (const path of [
      'javascript:alert(1)',
      '../../etc/passwd',
      '/etc/passwd',
      'a/../b',
      '//host/x',
      'https://x/y',
      'a\\..\\b',
      'file:x',
      '',
    ]) {
      expect(fileLink(path).text, path)
        .to.match(/^<code>/)
        .and.not.include('href');
    }
  });
});

describe('report.html', () => {
  for (const outcome of outcomes) {
    it(`of "${outcome}" needs nothing else and is sound`, () => {
      const page = renderHtml(buildReport(journalOf(outcome)));
      expect(page).not.to.match(/<script|<link|<iframe|<img|\bon\w+=|url\((?!#)|@import|>undefined|\[object/i);
      expect(page).not.to.match(/\bNaN\b/);
      expect(page.match(/(?:src|href)="(?!#|evidence\/)[^"]*"/g)).to.equal(null);
      const ids = [...page.matchAll(/ id="([^"]+)"/g)].map((m) => m[1]!);
      expect(ids).to.deep.equal([...new Set(ids)]);
      for (const [, target] of page.matchAll(/href="#([^"]+)"/g)) expect(ids).to.include(target);
      for (const [, labels] of page.matchAll(/aria-labelledby="([^"]+)"/g)) expect(ids).to.include(labels);
      expect(page.match(/<table/g)!.length).to.equal(page.match(/<caption/g)!.length);
      expect(page.match(/<svg/g)!.length).to.equal(page.match(/<title id=/g)!.length);
      expect(page.match(/<h1/g)).to.have.length(1);
      // Void elements closed, the rest must nest as XML does.
      const xml = page.replace('<!doctype html>', '').replaceAll(/<meta ([^>]*[^/>])>/g, '<meta $1/>');
      expect(XMLValidator.validate(xml, { allowBooleanAttributes: true })).to.equal(true);
    });
  }

  it('is the same at each rendering', () => {
    const model = buildReport(journalOf('go'));
    expect(renderHtml(model)).to.equal(renderHtml(model));
  });

  it('lets no text from outside become markup', () => {
    const page = renderHtml(buildReport(poisoned()));
    for (const part of ['<script', '<img', '\u0000', '\u202e', `"'>`]) expect(page).not.to.include(part);
    expect(page).to.include('&#60;script&#62;alert(1)');
    const xml = page.replace('<!doctype html>', '').replaceAll(/<meta ([^>]*[^/>])>/g, '<meta $1/>');
    expect(XMLValidator.validate(xml, { allowBooleanAttributes: true })).to.equal(true);
  });

  it('says the verdict in words, and why', () => {
    const text = (outcome: Outcome): string => renderHtml(buildReport(journalOf(outcome)));
    expect(text('go')).to.include('✓ Go: released').and.include('no request failed');
    expect(text('no-go')).to.include('✕ No-go: not released').and.include('612 ms');
    expect(text('rolled-back')).to.include('↩ Rolled back').and.include('4.1 %');
    expect(text('unfinished')).to.include('▸ Not finished').and.include('Started, without an end');
  });

  it('says so when the journal is damaged', () => {
    expect(renderHtml(buildReport(journalOf('go'), 'line 12: it was changed')))
      .to.include('The journal is damaged')
      .and.include('line 12: it was changed');
  });

  it('shows each chart once per width, in the colours of the page', () => {
    const page = renderHtml(buildReport(journalOf('go')));
    for (const chart of ['traffic', 'p50', 'p95', 'lag'])
      expect(page).to.include(`id="chart-${chart}-w"`).and.include(`id="chart-${chart}-n"`);
    expect(page).not.to.match(/#01010\d/);
    expect(page).to.match(/stroke="var\(--green\)"[^>]*stroke-dasharray|stroke-dasharray[^>]*stroke="var\(--green\)"/);
  });
});

describe('junit.xml', () => {
  const parse = (outcome: Outcome) => {
    const text = renderJUnit(buildReport(journalOf(outcome)));
    expect(XMLValidator.validate(text)).to.equal(true);
    const parser = new XMLParser({
      ignoreAttributes: false,
      attributeNamePrefix: '',
      isArray: (name) => ['testsuite', 'testcase'].includes(name),
    });
    return parser.parse(text) as {
      testsuites: {
        tests: string;
        failures: string;
        errors: string;
        skipped: string;
        testsuite: { name: string; testcase: Record<string, unknown>[] }[];
      };
    };
  };

  it('has every gate and stage as a test case', () => {
    const { testsuites } = parse('no-go');
    expect(testsuites).to.include({ tests: '26', failures: '2', errors: '0', skipped: '19' });
    const staging = testsuites.testsuite.find((suite) => suite.name === 'gates.staging')!;
    const load = staging.testcase.find((c) => c['classname'] === 'load')!;
    expect(load['failure']).to.have.property('message', 'p95 of GET /api/lessons: 612 ms (wanted <= 300 ms)');
  });

  it('lets a waiver pass and says whose it is', () => {
    const { testsuites } = parse('go');
    expect(testsuites).to.include({ failures: '0', errors: '0', skipped: '0' });
    const scan = testsuites.testsuite.flatMap((s) => s.testcase).find((c) => c['classname'] === 'security-scan')!;
    expect(scan['system-out']).to.include('waived by security officer until 2026-12-31');
  });

  it('stays well-formed whatever the texts are', () => {
    const text = renderJUnit(buildReport(poisoned()));
    expect(XMLValidator.validate(text)).to.equal(true);
    expect(text).not.to.include('\u0000').and.not.include('<script');
    const name = `a "<true>" & 'b'`;
    const [stage] = buildReport(journalOf('no-go')).stages.filter(({ verdict }) => verdict === 'fail');
    const one = {
      ...buildReport(poisoned()),
      rollback: null,
      gates: [],
      stages: [{ ...stage!, title: name, reason: 'true' }],
    };
    const parser = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '' });
    const read = parser.parse(renderJUnit(one)) as {
      testsuites: { testsuite: { testcase: { name: string; failure: object } } };
    };
    expect(read.testsuites.testsuite.testcase).to.include({ name, classname: 'stages' });
    expect(read.testsuites.testsuite.testcase.failure).to.include({ message: 'true', type: 'fail' });
  });
});
