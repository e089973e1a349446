import { dirname, join } from 'node:path';
import type { JournalEntry, StageId } from '../journal/events.ts';
import type { Journal } from '../journal/journal.ts';
import { buildReport } from '../report/model/build.ts';
import { formatClock } from '../journal/format.ts';
import { happeningsOf, progressOf, type Happening } from './happenings.ts';
import { renderSummary } from './summary.ts';
import { columnsOf, fit, oneLine, painter, wantsColour, wrap, type Environment } from './text.ts';

export interface TerminalOptions {
  stdout: NodeJS.WritableStream & { columns?: number };
  isTTY: boolean;
  env: Environment;
  /** ms since the epoch; for tests. */
  now?: () => number;
}

export interface Terminal {
  /**
   * Shows entries that are appended from now on. Existing ones only set stage and titles. Returns a function that ends
   * it.
   */
  follow(journal: Pick<Journal, 'entries' | 'subscribe' | 'file'>): () => void;
  /** Shows what is being waited for, in the progress line. It is not in the journal. */
  waiting(text: string): void;
  /** Writes permanent lines. */
  print(text: string): void;
  /** Stops drawing the progress line, for a question, until `resume`. */
  pause(): void;
  resume(): void;
  close(): void;
}

/**
 * Shows a release. In a terminal the last line shows progress: stage, current action, elapsed and expected time.
 * Elsewhere (pipe, CI, TERM=dumb) the output is a log with a time on each line. The package log-update is not used,
 * because it hides the cursor and wraps lines that have to be cut.
 */
export function createTerminal(options: TerminalOptions): Terminal {
  const { stdout, isTTY, env, now = Date.now } = options;
  const alive = isTTY && env['TERM'] !== 'dumb' && !isCi(env);
  const paint = painter(wantsColour({ isTTY, env }));
  const stages = new Map<StageId, { title: string; expectedMs: number }>();
  const leave: (() => void)[] = [];
  let stage: { id: StageId; startedAt: number } | undefined;
  let doing = '';
  let loggedWaiting = '';
  let drawn = false;
  let paused = false;
  let closed = false;
  let broken = false;

  // A reader that closes the pipe (`| head`) must not end the release.
  stdout.on('error', () => {
    broken = true;
  });
  const write = (text: string): void => {
    if (!broken) stdout.write(text);
  };
  // One column less, because some terminals break a line that fills the last column.
  const width = (): number => Math.max(1, (columnsOf(stdout) ?? 80) - 1);
  const titleOf = (id: StageId): string => stages.get(id)?.title ?? id;

  const erase = (): void => {
    if (drawn) write('\r\x1b[K');
    drawn = false;
  };
  const draw = (): void => {
    if (!alive || paused || closed) return;
    erase();
    const line = fit(liveLine(), width());
    if (line === '') return;
    write(paint('soft', line));
    drawn = true;
  };
  const liveLine = (): string => {
    if (!stage) return doing;
    const expected = stages.get(stage.id)?.expectedMs ?? 0;
    const clock = `${minutes(now() - stage.startedAt)}${expected > 0 ? ` of about ${minutes(expected)}` : ''}`;
    return `${clock}  ${titleOf(stage.id)}${doing === '' ? '' : `: ${doing}`}`;
  };
  const timer = alive ? setInterval(draw, 1000).unref() : undefined;

  const stay = (lines: readonly string[]): void => {
    erase();
    for (const line of lines) write(`${line}\n`);
    draw();
  };
  const show = (entry: JournalEntry): void => {
    stay(
      happeningsOf(entry, titleOf).flatMap((happening) =>
        alive ? inWindow(happening) : [logLine(entry.at, happening)],
      ),
    );
  };
  const inWindow = ({ tone, text, depth }: Happening): string[] => {
    const indent = '  '.repeat(depth);
    return wrap(indent + oneLine(text), width(), `${indent}  `).map((line) => paint(tone, line));
  };
  const logLine = (at: string, { tone, text, depth }: Happening): string =>
    `${formatClock(at)}  ${'  '.repeat(depth)}${paint(tone, oneLine(text))}`;

  const note = (entry: JournalEntry): void => {
    if (entry.type === 'release.started') for (const { id, ...planned } of entry.stages) stages.set(id, planned);
    if (entry.type === 'stage.started') stage = { id: entry.stage, startedAt: Date.parse(entry.at) };
    if (entry.type === 'stage.ended' || entry.type === 'release.ended') stage = undefined;
    if (entry.type.startsWith('stage.') || entry.type === 'action.done') doing = '';
    doing = oneLine(progressOf(entry) ?? doing);
  };

  return {
    follow(journal) {
      journal.entries().forEach(note);
      const stop = journal.subscribe((entry) => {
        note(entry);
        show(entry);
        if (entry.type !== 'release.ended') return;
        const summary = renderSummary(
          buildReport(journal.entries()),
          join(dirname(journal.file), 'report.html'),
          paint,
        );
        stay(alive ? summary.flatMap((line) => (line === '' ? [''] : wrap(line, width(), ' '.repeat(18)))) : summary);
      });
      leave.push(stop);
      return stop;
    },
    waiting(text) {
      doing = oneLine(text);
      if (alive) return draw();
      // A text that differs only in its numbers is logged once.
      const kind = doing.replace(/\d+/g, '');
      if (kind === loggedWaiting) return;
      loggedWaiting = kind;
      write(`${logLine(new Date(now()).toISOString(), { tone: 'soft', text: `waiting: ${doing}`, depth: 1 })}\n`);
    },
    print: (text) => stay(text.split('\n')),
    pause() {
      erase();
      paused = true;
    },
    resume() {
      paused = false;
      draw();
    },
    close() {
      erase();
      closed = true;
      clearInterval(timer);
      for (const stop of leave) stop();
    },
  };
}

function isCi(env: Environment): boolean {
  return env['CI'] !== undefined && env['CI'] !== '' && env['CI'] !== 'false';
}

/** `0:07`, `12:30`. */
function minutes(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
