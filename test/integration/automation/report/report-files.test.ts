import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { chromium, type Browser } from 'playwright-core';
import { OperationError } from '../../../../infra/lib/errors.ts';
import { toolPath } from '../../../../infra/lib/tools.ts';
import { openJournal } from '../../../../automation/journal/journal.ts';
import { createRedactor } from '../../../../infra/lib/redact.ts';
import { writeReport } from '../../../../automation/report/write.ts';
import { journalOf, type Outcome } from '../../../lib/journals.ts';

describe('report of a release on disk', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'report-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const store = (outcome: Outcome): void =>
    writeFileSync(
      join(directory, 'journal.jsonl'),
      journalOf(outcome)
        .map((entry) => `${JSON.stringify(entry)}\n`)
        .join(''),
    );

  it('is three files for their owner alone, and nothing half-written beside them', () => {
    store('go');
    const { json } = writeReport(directory);
    expect(readdirSync(directory).sort()).to.deep.equal(['journal.jsonl', 'junit.xml', 'report.html', 'report.json']);
    expect(statSync(json).mode & 0o777).to.equal(0o600);
    expect(JSON.parse(readFileSync(json, 'utf8'))).to.include({ verdict: 'go', release: '20261120-220000-2.0.0' });
  });

  it('is made of a journal that a real release is still writing, without its secrets', () => {
    const redactor = createRedactor();
    redactor.register(`p"ss'<w>örd`);
    const journal = openJournal(directory, { redactor });
    for (const { seq: _seq, at: _at, prev: _prev, ...event } of journalOf('unfinished')) journal.append(event);
    journal.append({ type: 'note', level: 'warning', text: `login with p"ss'<w>örd failed` });
    const { model, html, json, junit } = writeReport(directory);
    journal.close();
    expect(model.verdict).to.equal('in-progress');
    expect(model.journal.damage).to.equal(null);
    for (const file of [html, json, junit]) expect(readFileSync(file, 'utf8')).not.to.include('örd');
    expect(readFileSync(html, 'utf8')).to.include('login with *** failed');
  });

  it('of a damaged journal shows what is before the damage, and says so', () => {
    store('go');
    const file = join(directory, 'journal.jsonl');
    writeFileSync(file, readFileSync(file, 'utf8').replace('6 of 6 personal columns', '5 of 6 personal columns'));
    const { model, html } = writeReport(directory);
    expect(model.verdict).to.equal('in-progress');
    expect(model.journal.damage).to.match(/^line \d+: its hash/);
    expect(readFileSync(html, 'utf8')).to.include('The journal is damaged');
  });

  it('cannot be made where there is no journal', () => {
    expect(() => writeReport(directory)).to.throw(OperationError, 'journal.jsonl');
  });
});

describe('report in a browser', () => {
  let directory: string;
  let browser: Browser;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'report-browser-'));
    writeFileSync(
      join(directory, 'journal.jsonl'),
      journalOf('rolled-back')
        .map((entry) => `${JSON.stringify(entry)}\n`)
        .join(''),
    );
    writeReport(directory);
    browser = await chromium.launch({ executablePath: toolPath('chromium'), args: ['--no-sandbox'] });
  });
  after(async () => {
    await browser?.close();
    rmSync(directory, { recursive: true });
  });

  it('is printed dark on white, also from a dark screen', async () => {
    const page = await browser.newPage({ viewport: { width: 720, height: 900 }, colorScheme: 'dark' });
    await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    await page.goto(pathToFileURL(join(directory, 'report.html')).href);
    const colours = await page.evaluate<string[]>(
      `['page', 'ink', 'blue-tint', 'green-tint'].map((n) => getComputedStyle(document.documentElement).getPropertyValue('--' + n))`,
    );
    expect(colours).to.deep.equal(['#fff', '#000', '#e6eefc', '#e2f3ea']);
    expect((await page.evaluate<{ faint: string[] }>(lookAt)).faint).to.deep.equal([]);
    await page.close();
  });

  for (const width of [320, 390, 800, 1200]) {
    for (const colorScheme of ['light', 'dark'] as const) {
      it(`fits ${width} px in ${colorScheme}, asks nothing of anybody, and every text can be read`, async () => {
        const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme, javaScriptEnabled: true });
        const requests: string[] = [];
        const complaints: string[] = [];
        page.on('request', (request) => requests.push(request.url()));
        page.on('console', (message) => complaints.push(message.text()));
        const url = pathToFileURL(join(directory, 'report.html')).href;
        await page.goto(url);
        expect(requests).to.deep.equal([url]);
        expect(complaints).to.deep.equal([]);
        const found = await page.evaluate<{ overflow: number; faint: string[]; charts: number }>(lookAt);
        expect(found.overflow, 'columns beyond the window').to.equal(0);
        expect(found.faint, 'contrast below 4.5 (WCAG AA)').to.deep.equal([]);
        expect(found.charts, 'charts that are shown').to.equal(4);
        await page.close();
      });
    }
  }
});

/** Runs in the page; as text, because this project's types do not know a browser. */
const lookAt = `(() => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const rgba = numbers(getComputedStyle(e).backgroundColor);
      if (rgba.length === 3 || rgba[3] === 1) return rgba.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim() !== '');
    if (!own || element.closest('svg') || element.getClientRects().length === 0) continue;
    const a = light(numbers(getComputedStyle(element).color).slice(0, 3));
    const b = light(background(element));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(element.className + ' ' + element.tagName + ' ' + ratio.toFixed(2));
  }
  return {
    overflow: Math.max(0, document.documentElement.scrollWidth - innerWidth),
    faint: [...faint],
    charts: [...document.querySelectorAll('figure svg')].filter((svg) => svg.getClientRects().length > 0).length,
  };
})()`;
