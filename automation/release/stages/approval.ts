import { allOf } from '../../journal/entries.ts';
import { describeNotRun, gatesNotRun } from '../../journal/not-run.ts';
import { passes } from '../../journal/verdict.ts';
import { describePlanned, plannedWindow, windowForUsers } from '../../journal/window.ts';
import { writeReportApart } from '../../report/write-in-child.ts';
import type { ReleaseContext } from '../context/context.ts';
import type { Release, Replacement } from '../context/release.ts';
import { during, StageStopped, type Stage, type Step } from '../context/stage.ts';
import { announce } from '../steps/announce.ts';
import { compareInactive } from '../steps/data/compare-inactive.ts';
import { keepFollowing } from '../steps/traffic/keep-following.ts';
import { guardLive, guarding } from '../steps/traffic/guard-live.ts';

type Decider = Release['definition']['approval'];
type Shape = Pick<Stage, 'id' | 'title' | 'workMs' | 'observationMs'>;

const shape: Shape = { id: 'approval', title: 'Go or no-go', workMs: 500, observationMs: 0 };

/** Go or no-go: the readiness report is written, and a person or the configured rule decides on it. */
export const approval = (release: Release): Stage => ({
  ...shape,
  steps: [decide(release.definition.approval), tellUsers(release)],
});

/** The same while a version is live: a person may take hours, and the live database is published meanwhile. */
export const guardedApproval = (release: Replacement, decider: Decider): Stage => ({
  ...shape,
  steps: [
    during<void>(
      { says: guarding(release.from.colour) },
      (context, work) =>
        guardLive(context, release.from.colour, () =>
          keepFollowing(context, { from: release.from.colour, to: release.to.colour }, () => work()),
        ),
      // Compared before the decision, and before any read goes there.
      [compareInactive(release), decide(decider)],
    ),
    tellUsers(release),
  ],
});

const decide = (decider: Decider): Step => ({
  says: `write the readiness report; ${decider === 'auto' ? 'go by itself, as every gate has passed' : 'ask a person'}`,
  do: async (context) => decideOn(context, decider, await writeReportApart(context.directory)),
});

const tellUsers = ({ definition, to }: Release): Step => ({
  says: 'tell users that it goes live now, where they are to be told',
  do: (context) => {
    const window = plannedWindow(context.journal.entries());
    const expected =
      window === undefined
        ? `Expected downtime: ${definition.announcements.expectedDowntime}.`
        : windowForUsers(window);
    return announce(context, `${definition.application.name} ${to.version} goes live now. ${expected}`);
  },
});

async function decideOn(context: ReleaseContext, decider: Decider, report: string): Promise<void> {
  const { journal, ask } = context;
  if (context.approved) return approve(context, operator(), '--yes');
  if (decider === 'auto') return approve(context, 'release definition', 'auto', waivedNote(context));
  if (ask === undefined) {
    journal.append({ type: 'approval.refused', by: 'nobody', reason: 'nobody can be asked here' });
    throw new StageStopped(
      'aborted',
      `approval is needed and nobody can be asked here; read ${report}, then run again with --yes`,
    );
  }
  const window = plannedWindow(journal.entries());
  const told = window === undefined ? '' : `A read-only window: ${describePlanned(window)}.\n`;
  const notRun = gatesNotRun(journal.entries()).map(({ title, measured }) => `Not run: ${title}: ${measured}.\n`);
  const question = `The readiness report is ${report}\n${told}${notRun.join('')}Take ${context.to.version} live on ${context.environment}?`;
  const answer = await context.observe(() => ask(question));
  if (answer.yes) return approve(context, answer.by, 'terminal');
  journal.append({ type: 'approval.refused', by: answer.by, reason: 'answered no at the terminal' });
  throw new StageStopped('aborted', `${answer.by} said no`);
}

function approve(
  { journal, ...context }: ReleaseContext,
  by: string,
  how: 'terminal' | '--yes' | 'auto',
  note?: string,
): void {
  // Where nobody was asked, the terminal says it all the same.
  const window = plannedWindow(journal.entries());
  if (window !== undefined && how !== 'terminal')
    context.note(`a read-only window follows: ${describePlanned(window)}`);
  journal.append({ type: 'approval.given', by, how, note });
}

function waivedNote({ journal }: ReleaseContext): string {
  const gates = allOf(journal.entries(), 'gate.judged').map(({ gate }) => gate);
  const waived = gates.filter((gate) => gate.verdict === 'waived').map((gate) => gate.id);
  const good = `${gates.filter((gate) => passes(gate.verdict)).length} of ${gates.length} gates passed${describeNotRun(journal.entries())}`;
  return waived.length === 0 ? good : `${good}, of them waived: ${waived.join(', ')}`;
}

const operator = (): string =>
  process.env['USER'] ?? process.env['LOGNAME'] ?? `uid ${process.getuid?.() ?? 'unknown'}`;
