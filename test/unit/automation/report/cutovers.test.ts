import { expect } from 'chai';
import type { Event, JournalEntry } from '../../../../automation/journal/events.ts';
import { renderHtml } from '../../../../automation/report/html/page.ts';
import { buildReport } from '../../../../automation/report/model/build.ts';
import { happeningsOf } from '../../../../automation/ui/happenings.ts';
import { renderSummary } from '../../../../automation/ui/summary.ts';
import { journalOf } from '../../../lib/journals.ts';

/** A release whose journal has these events in place of those of its cutover. */
function withCutover(...events: Event[]): JournalEntry[] {
  const ofCutover = (entry: JournalEntry): boolean =>
    entry.type.startsWith('cutover.') || (entry.type === 'traffic.set' && entry.by === 'balancer');
  const entries = journalOf('go');
  const at = entries.findIndex(ofCutover);
  const made = events.map((event) => ({ ...event, seq: 0, at: entries[at]!.at, prev: '' }));
  return [...entries.slice(0, at), ...made, ...entries.slice(at).filter((entry) => !ofCutover(entry))];
}

const intent: Event = { type: 'action.intent', id: 'cutover/forward', what: 'move writes from blue to green' };
const failed: Event = { type: 'action.failed', id: 'cutover/forward', ms: 60, error: 'cutover, step fence' };
const step = (name: string, ms: number): Event => ({ type: 'cutover.step', step: name, ms });
const settled: Event = { type: 'cutover.done', direction: 'forward', from: 'blue', to: 'green' };

/** What both first screens say of the hold, and the section on cutovers. */
function shown(entries: JournalEntry[]) {
  const model = buildReport(entries);
  const page = renderHtml(model).replaceAll(/\s+/g, ' ');
  const paint = (_: unknown, text: string): string => text;
  return {
    model,
    terminal: renderSummary(model, '/r', paint).find((line) => line.includes('longest hold')),
    figure: /<dt>Longest write hold<\/dt><dd><b[^>]*>([^<]*)</.exec(page)?.[1],
    section: /<section[^>]*id="cutover".*?<\/section>/.exec(page)?.[0] ?? '',
  };
}

describe('what a report says of cutovers', () => {
  it('of one that was killed after the flip and finished by resume: that the hold was not measured', () => {
    const { model, terminal, figure, section } = shown(withCutover(intent, settled));
    expect(model.hold).to.deep.equal({ maxMs: null, unmeasured: 1 });
    expect(terminal).to.contain('not measured');
    expect(figure).to.equal('not measured');
    expect(section).to.contain('how long writes waited was not measured').and.not.contain('was not changed');
    expect(model.frames.at(-1)?.colours.green).to.include({ writes: true });
  });

  it('[J2] of connections that outlived one: how many were ended, and in which time', () => {
    const done: Event = { ...settled, holdMs: 25, totalMs: 90 };
    const ended: Event = { type: 'connections.ended', colour: 'blue', webSockets: 12, streams: 1, ms: 4100 };
    expect(shown(withCutover(intent, done, ended)).section).to.contain(
      '12 WebSockets and 1 stream of events or of another long answer to blue were ended in 4.1 s',
    );
    const others: Event = { ...ended, colour: 'green' };
    expect(shown(withCutover(intent, done, others)).section).to.not.contain('WebSocket');
    expect(shown(withCutover(intent, done)).section).to.not.contain('were ended');
    const [line] = happeningsOf({ ...ended, webSockets: 1, streams: 0, seq: 0, at: '', prev: '' }, String);
    expect(line?.text).to.equal(
      '1 WebSocket to blue was ended in 4.1 s, so that the clients connect to the live colour',
    );
  });

  it('of one that was killed and not settled yet: the same, and that it is not finished', () => {
    const { figure, section } = shown(withCutover(intent));
    expect(figure).to.equal('not measured');
    expect(section).to.contain('started, not finished');
  });

  it('of one that held writes and was aborted: for how long', () => {
    const { model, figure, section } = shown(
      withCutover(intent, failed, step('prepare', 400), step('hold', 2), step('drain', 8), step('undo', 50)),
    );
    expect(figure).to.equal('60 ms');
    expect(section).to.contain('started, not finished; writes waited for at most <b>60 ms</b>');
    expect(model.frames.at(-1)?.holding).to.equal(false);
  });

  it('of one that was aborted, and could not release the writes: that the hold was not measured', () => {
    expect(shown(withCutover(intent, failed, step('prepare', 400), step('hold', 2))).figure).to.equal('not measured');
  });

  it('of one that failed before it held a write: nothing', () => {
    const { figure, terminal, section } = shown(withCutover(intent, failed));
    expect(figure).to.equal('none');
    expect(terminal).to.contain('none');
    expect(section).to.contain('The live colour was not changed.');
  });

  it('of one that was tried again: each attempt, and the longest hold', () => {
    const steps = [step('prepare', 400), step('hold', 2)];
    const done: Event = { ...settled, holdMs: 34, totalMs: 61 };
    const { model, figure } = shown(withCutover(intent, failed, ...steps, step('undo', 98), intent, ...steps, done));
    expect(model.cutovers.map(({ holdMs }) => holdMs)).to.deep.equal([100, 34]);
    expect(figure).to.equal('100 ms');
  });

  it('of two of which one was not measured: that the longest is not known', () => {
    const back: Event = {
      type: 'cutover.done',
      direction: 'rollback',
      from: 'green',
      to: 'blue',
      holdMs: 34,
      totalMs: 61,
    };
    const { figure, terminal } = shown(withCutover(intent, settled, back));
    expect(figure).to.equal('not measured, at least 34 ms');
    expect(terminal).to.contain('not measured, at least 34 ms');
  });
});
