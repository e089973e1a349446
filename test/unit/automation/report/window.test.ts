import { expect } from 'chai';
import type { Event, JournalEntry } from '../../../../automation/journal/events.ts';
import {
  describePlanned,
  movedInWindow,
  plannedWindow,
  undoneWindow,
  windowForUsers,
} from '../../../../automation/journal/window.ts';
import { renderHtml } from '../../../../automation/report/html/page.ts';
import { buildReport } from '../../../../automation/report/model/build.ts';
import type { GateResult } from '../../../../automation/journal/verdict.ts';
import { happeningsOf } from '../../../../automation/ui/happenings.ts';
import { renderSummary } from '../../../../automation/ui/summary.ts';
import { journalOf } from '../../../lib/journals.ts';

const start = 1_700_000_000_000;
const refused: Event = { type: 'writes.refused', from: start };
const over: Event = { type: 'writes.refused', from: start, to: start + 12_300 };
const step = (name: string, ms: number): Event => ({ type: 'cutover.step', step: name, ms });
const done: Event = {
  type: 'cutover.done',
  direction: 'forward',
  from: 'blue',
  to: 'green',
  totalMs: 15_000,
  window: { refusedMs: 12_300 },
};
const intent: Event = { type: 'action.intent', id: 'cutover/forward', what: 'move writes' };
const rehearsed: Event = {
  type: 'window.rehearsed',
  ms: 1,
  startMs: 1,
  expectedMs: 14_000,
  postgres: 17,
  changes: [],
  counts: {},
};

/** A release with a window that has these events in place of those of its cutover, and what follows them. */
function windowed(events: Event[], { until }: { until?: JournalEntry['type'] } = {}): JournalEntry[] {
  const ofCutover = ({ type }: JournalEntry): boolean => type.startsWith('cutover.') || type === 'sync.progress';
  const entries = journalOf('go').map((entry) =>
    entry.type === 'release.started' ? { ...entry, readOnlyWindow: { longestMs: 60_000 } } : entry,
  );
  const at = entries.findIndex((entry) => entry.type === 'cutover.step');
  const made = [rehearsed, ...events].map((event, i) => ({
    ...event,
    seq: entries[at]!.seq + i,
    at: entries[at]!.at,
    prev: '',
  }));
  const after = until === undefined ? entries.slice(at).filter((entry) => !ofCutover(entry)) : [];
  return [...entries.slice(0, at).filter(({ type }) => type !== 'canary.step'), ...made, ...after];
}
const paint = (_: unknown, text: string): string => text;
const whole = [intent, refused, step('refuse', 30), step('migrate', 800), over, step('release', 2), done];

describe('what is said of a read-only window', () => {
  it('by the report: for how long writes were refused, and not that they were held', () => {
    const model = buildReport(windowed(whole));
    expect(model.window).to.deep.equal({ longestMs: 60_000, expectedMs: 14_000, refusedMs: 12_300 });
    expect(model.hold).to.deep.equal({ maxMs: null, unmeasured: 0 });
    const page = renderHtml(model).replaceAll(/\s+/g, ' ');
    expect(page)
      .to.match(/<dt>Writes refused<\/dt><dd><b[^>]*>12\.3 s</)
      .and.not.contain('Longest write hold');
    const section = /<section[^>]*id="cutover".*?<\/section>/.exec(page)?.[0] ?? '';
    expect(section)
      .to.contain('in a read-only window; writes were refused for <b>12.3 s</b>')
      .and.not.contain('waited');
    expect(section).to.contain('Run the incompatible migrations').and.contain('Answer new writes 503');
    expect(page).to.contain('Writes are answered 503 at the entry point');
    expect(model.frames.map(({ title }) => title)).to.include('Writes are refused');
  });

  it('by the checklist: no longer than approved, no canary; and the register says that no way back is there', () => {
    const { checklist, risks } = buildReport(windowed(whole));
    const line = (id: string) => checklist.find((one) => one.id === id);
    expect(line('downtime')?.measured).to.contain('refused for 12.3 s; reads went on');
    expect(line('canary')?.measured).to.contain('no canary');
    const back = risks.find(({ id }) => id === 'unforeseen')?.mitigations.at(-1);
    expect(back?.verdict).to.equal('fail');
    expect(back?.proof).to.contain('no way back without the loss');
    const disruption = risks.find(({ id }) => id === 'disruption')?.mitigations.at(-1);
    expect(disruption).to.include({ verdict: 'pass', proof: 'refused for 12.3 s; reads went on' });
    const long = { ...over, to: start + 61_000 } as Event;
    const slow = buildReport(windowed([intent, refused, long]));
    expect(slow.checklist.find(({ id }) => id === 'downtime')?.verdict).to.equal('fail');
  });

  it('by the rehearsal that failed: it is named where disruption and unforeseen challenges are', () => {
    const result = {
      id: 'read-only-window',
      title: 'Window',
      verdict: 'fail',
      measured: 'about 90 s',
      wanted: '<= 60 s',
    };
    const gate = { ...result, measurements: [], evidence: [], ms: 1, observationMs: 0 } as GateResult;
    const { risks } = buildReport(windowed([...whole, { type: 'gate.judged', stage: 'backup', gate }]));
    for (const id of ['disruption', 'unforeseen']) {
      const risk = risks.find((one) => one.id === id);
      expect(
        risk?.mitigations.some((row) => row.gates.includes('read-only-window') && row.verdict === 'fail'),
      ).to.equal(true, id);
    }
  });

  it('of one that was undone, or that nobody measured: what is known', () => {
    const undone = buildReport(windowed([intent, refused, over, step('undo', 40)]));
    expect(undone.window?.refusedMs).to.equal(12_300);
    expect(undone.cutovers.at(-1)).to.deep.include({ done: null, holdMs: null });
    const killed = buildReport(windowed([intent, refused, { ...done, window: {} }]));
    expect(killed.window?.refusedMs).to.equal(null);
    expect(renderHtml(killed).replaceAll(/\s+/g, ' ')).to.contain('how long writes were refused was not measured');
  });

  it('by the terminal', () => {
    const entries = windowed(whole);
    const lines = entries.flatMap((entry) => happeningsOf(entry, (stage) => stage)).map(({ text }) => text);
    expect(lines).to.include(
      '✓ cutover from blue to green in a read-only window: writes were refused for 12.3 s, 15 s in all',
    );
    const summary = renderSummary(buildReport(entries), '/r', paint).join('\n');
    expect(summary).to.match(/read-only +12\.3 s, in a window of at most 1 min 00 s/);
  });

  it('before it: with what the rehearsal expects, or the longest', () => {
    const [first, ...rest] = windowed([]);
    expect(describePlanned(plannedWindow([first!, ...rest])!)).to.equal(
      'users can read, and writes are answered 503 for about 14 s (at most 1 min 00 s); from then on there is no way back without the loss of the writes made since',
    );
    expect(windowForUsers(plannedWindow([first!, ...rest])!)).to.equal(
      'For about 14 s nothing can be saved; everything can be read.',
    );
    expect(windowForUsers(plannedWindow([first!])!)).to.contain('For at most 1 min 00 s');
    expect(plannedWindow(journalOf('go'))).to.equal(undefined);
  });

  it('while somebody has to decide: what stopped it, and both ways', () => {
    const stopped: Event = {
      type: 'stage.ended',
      stage: 'bake',
      verdict: 'fail',
      reason: 'the SLOs broke',
      ms: 1,
      observationMs: 0,
    };
    const started: Event = { type: 'stage.started', stage: 'bake' };
    const ended: Event = { type: 'stage.ended', stage: 'cutover', verdict: 'pass', ms: 1, observationMs: 0 };
    const { verdict, reason } = buildReport(windowed([...whole, ended, started, stopped], { until: 'release.ended' }));
    expect(verdict).to.equal('in-progress');
    expect(reason)
      .to.contain('Somebody has to decide: Bake time: the SLOs broke')
      .and.contain('npm run resume')
      .and.contain('--accept-loss');
  });
});

describe('what the journal says of a read-only window', () => {
  const of = (...events: Event[]) => windowed(events, { until: 'release.ended' });
  it('moved the writes until somebody begins to go back, and was undone where it did not move them', () => {
    expect([movedInWindow(of(...whole)), undoneWindow(of(...whole))]).to.deep.equal([true, false]);
    const back: Event = { type: 'rollback.started', reason: 'x', automatic: false };
    expect(movedInWindow(of(...whole, back))).to.equal(false);
    expect([movedInWindow(of(refused)), undoneWindow(of(refused))]).to.deep.equal([false, true]);
    expect([movedInWindow(of()), undoneWindow(of())]).to.deep.equal([false, false]);
    const held: Event = { type: 'cutover.done', direction: 'forward', from: 'blue', to: 'green' };
    expect(movedInWindow(of(held))).to.equal(false);
  });
});
