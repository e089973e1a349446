import { EventEmitter } from 'node:events';
import { expect } from 'chai';
import stringWidth from 'string-width';
import type { JournalEntry } from '../../../../automation/journal/events.ts';
import { createTerminal, type Terminal } from '../../../../automation/ui/terminal.ts';
import { journalOf, type Outcome } from '../../../lib/journals.ts';

class Screen extends EventEmitter {
  written = '';
  columns = 80;
  write(text: string): boolean {
    this.written += text;
    return true;
  }
  /** What a person sees: a line that is returned to and erased is gone. */
  lines(): string[] {
    return this.written.split('\n').map((line) => line.split('\r\x1b[K').at(-1)!);
  }
}

const show = (outcome: Outcome, options: { isTTY: boolean; env?: Record<string, string>; columns?: number }) => {
  const screen = new Screen();
  screen.columns = options.columns ?? 80;
  const all = journalOf(outcome);
  const seen: JournalEntry[] = [];
  const listeners: ((entry: JournalEntry) => void)[] = [];
  const terminal: Terminal = createTerminal({
    stdout: screen as unknown as NodeJS.WritableStream,
    isTTY: options.isTTY,
    env: options.env ?? {},
    now: () => Date.parse(seen.at(-1)?.at ?? all[0]!.at) + 7_000,
  });
  terminal.follow({
    file: '/r/journal.jsonl',
    entries: () => seen,
    subscribe: (fn) => (listeners.push(fn), () => listeners.splice(listeners.indexOf(fn), 1)),
  });
  const play = (until = all.length): void => {
    for (const entry of all.slice(seen.length, until)) {
      seen.push(entry);
      listeners.forEach((fn) => fn(entry));
    }
  };
  return { screen, terminal, play, all, listeners };
};

describe('terminal as a log', () => {
  it('writes one dated line per happening, without colour or cursor', () => {
    const { screen, play, terminal } = show('go', { isTTY: false });
    play();
    terminal.close();
    expect(screen.written).not.to.include('\x1b').and.not.include('\r');
    expect(screen.written).to.match(/^22:00:00 {2}think-in-coin 1\.4\.2 \(blue\) -> 2\.0\.0 \(green\) in production/);
    expect(screen.written).to.match(/^22:\d\d:\d\d {4}✓ Load test: 4 of 4 checks passed \(wanted: every check\)$/m);
    expect(screen.written).to.match(
      /^22:\d\d:\d\d {4}✓ cutover from blue to green: writes waited 34 ms, 61 ms in all$/m,
    );
  });

  it('is a log in CI and on a dumb terminal, in colour only if that is forced', () => {
    for (const env of [{ CI: 'true', NO_COLOR: '1' }, { TERM: 'dumb' }] as Record<string, string>[]) {
      const { screen, play } = show('go', { isTTY: true, env });
      play();
      expect(screen.written).not.to.include('\x1b').and.not.include('\r');
    }
    const forced = show('go', { isTTY: false, env: { FORCE_COLOR: '1' } });
    forced.play();
    expect(forced.screen.written).to.include('\x1b[32m✓ Load test').and.not.include('\r');
  });

  it('says what is waited for when that changes, not at every count', () => {
    const { screen, terminal } = show('go', { isTTY: false });
    for (const n of [1, 2, 3]) terminal.waiting(`for 50 requests, ${n} so far`);
    terminal.waiting('for the replication');
    expect(screen.written.match(/waiting: for 50 requests/g)).to.have.length(1);
    expect(screen.written).to.include('waiting: for the replication');
  });
});

describe('terminal that is alive', () => {
  it('has 80 columns where the window says 0: nobody has set its size', () => {
    const of = (columns: number) => {
      const { screen, play } = show('go', { isTTY: true, env: { NO_COLOR: '1' }, columns });
      play();
      return screen.written;
    };
    expect(of(0) === of(80), 'the same text').to.equal(true);
  });

  it('shows stage, elapsed of expected time and what is waited for in one line that is overwritten', () => {
    const { screen, play, terminal, all } = show('go', { isTTY: true, env: { NO_COLOR: '1' } });
    play(all.findIndex((e) => e.type === 'stage.started' && e.stage === 'canary') + 1);
    terminal.waiting('50 requests of green, 12 so far');
    expect(screen.lines().at(-1)).to.equal('0:07 of about 0:45  Canary: 50 requests of green, 12 so far');
    terminal.waiting('the next step');
    expect(screen.lines().at(-1)).to.equal('0:07 of about 0:45  Canary: the next step');
    terminal.close();
    expect(screen.lines().at(-1)).to.equal('');
  });

  it('never writes over the width of the window', () => {
    for (const columns of [20, 40, 80, 200]) {
      for (const outcome of ['go', 'no-go', 'rolled-back'] as const) {
        const { screen, play, terminal } = show(outcome, { isTTY: true, columns, env: { NO_COLOR: '1' } });
        terminal.waiting('日本語'.repeat(40));
        play();
        terminal.close();
        for (const line of screen.written.replaceAll('\r\x1b[K', '\n').split('\n'))
          expect(stringWidth(line), line).to.be.below(columns);
      }
    }
  });

  it('leaves the window to a question', () => {
    const { screen, play, terminal } = show('go', { isTTY: true });
    play(4);
    terminal.pause();
    const before = screen.written;
    terminal.waiting('something');
    expect(screen.written).to.equal(before);
    terminal.resume();
    expect(screen.lines().at(-1)).to.include('something');
    terminal.close();
  });

  it('goes on without a sound when its reader is gone', () => {
    const { screen, play } = show('go', { isTTY: true });
    screen.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    play();
    expect(screen.written).to.equal('');
  });
});

describe('summary of a release in the terminal', () => {
  const summaryOf = (outcome: Outcome): string => {
    const { screen, play } = show(outcome, { isTTY: false });
    play();
    return screen.written.slice(screen.written.lastIndexOf('\n\n', screen.written.lastIndexOf('\n\n') - 1)).trim();
  };

  it('of a go', () => {
    expect(summaryOf('go').split('\n')).to.deep.equal([
      '✓ GO  think-in-coin 2.0.0 in production',
      'Every gate passed, no request failed and no write was lost; green serves all traffic.',
      '',
      '  gates           16 of 16 passed, 1 of them waived',
      '  failed requests 0 of 15,876',
      '  lost writes     0 of 3,175',
      '  longest hold    34 ms',
      '  time            5 min 18 s, 49.8 % of it not observation',
      '  report          /r/report.html',
    ]);
  });

  it('of a rollback', () => {
    expect(summaryOf('rolled-back'))
      .to.include('↩ ROLLED BACK')
      .and.match(/rollback +380 ms, nothing lost/);
  });

  it('of a no-go, with the measurement that failed and what was not measured', () => {
    expect(summaryOf('no-go'))
      .to.match(/^✕ NO-GO/)
      .and.match(/failed requests not measured/)
      .and.match(/gates +3 of 16 passed/);
  });
});
