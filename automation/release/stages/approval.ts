import { passes } from '../../journal/verdict.ts';
import { writeReportApart } from '../../report/write-in-child.ts';
import { announce } from '../steps/announce.ts';
import { inactiveCompared, requireFollowing } from '../steps/data/compare-inactive.ts';
import type { ReleaseContext } from '../context/context.ts';
import { guardLive } from '../steps/traffic/guard-live.ts';
import { StageStopped, type Stage } from '../context/stage.ts';

/** Go or no-go: the readiness report is written, and a person or the configured rule decides on it. */
export const approval: Stage = {
  id: 'approval',
  title: 'Go or no-go',

  plan: ({ kind, definition }) => ({
    steps: [
      ...(kind === 'go-live' ? [] : ['compare the inactive colour with the live one']),
      'write the readiness report',
      definition.approval === 'auto' ? 'go by itself: every gate has passed' : 'ask a person',
    ],
    ...(kind === 'go-live' ? {} : { gates: inactiveCompared }),
    workMs: 500,
    observationMs: 0,
  }),

  async apply(context) {
    // A person may take hours, and the live database is published meanwhile.
    await guardLive(context, async () => {
      // Before the decision, and before any read goes there.
      if (context.from !== undefined) await requireFollowing(context, context.from.colour);
      await decide(context, await writeReportApart(context.directory));
    });
    const { application, announcements } = context.definition;
    await announce(
      context,
      `${application.name} ${context.to.version} goes live now. Expected downtime: ${announcements.expectedDowntime}.`,
    );
  },

  verify: () => Promise.resolve(undefined),
  undo: () => Promise.resolve(undefined),
};

async function decide(context: ReleaseContext, report: string): Promise<void> {
  if (context.approved) return approve(context, operator(), '--yes');
  if (context.definition.approval === 'auto' || context.kind === 'rehearsal') {
    return approve(context, 'release definition', 'auto', waivedNote(context));
  }
  if (context.ask === undefined) {
    context.journal.append({ type: 'approval.refused', by: 'nobody', reason: 'nobody can be asked here' });
    throw new StageStopped(
      'aborted',
      `approval is needed and nobody can be asked here; read ${report}, then run again with --yes`,
    );
  }
  const started = performance.now();
  const answer = await context.ask(
    `The readiness report is ${report}\nTake ${context.to.version} live on ${context.environment}?`,
  );
  context.observationMs += performance.now() - started;
  if (answer.yes) return approve(context, answer.by, 'terminal');
  context.journal.append({ type: 'approval.refused', by: answer.by, reason: 'answered no at the terminal' });
  throw new StageStopped('aborted', `${answer.by} said no`);
}

function approve({ journal }: ReleaseContext, by: string, how: 'terminal' | '--yes' | 'auto', note?: string): void {
  journal.append({ type: 'approval.given', by, how, note });
}

function waivedNote({ journal }: ReleaseContext): string {
  const gates = journal.entries().flatMap((entry) => (entry.type === 'gate.judged' ? [entry.gate] : []));
  const waived = gates.filter((gate) => gate.verdict === 'waived').map((gate) => gate.id);
  const good = `${gates.filter((gate) => passes(gate.verdict)).length} of ${gates.length} gates passed`;
  return waived.length === 0 ? good : `${good}, of them waived: ${waived.join(', ')}`;
}

const operator = (): string =>
  process.env['USER'] ?? process.env['LOGNAME'] ?? `uid ${process.getuid?.() ?? 'unknown'}`;
