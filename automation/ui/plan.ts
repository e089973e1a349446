import { wrap } from './text.ts';
import type { PlannedStage } from '../release/plan.ts';

interface Page {
  /** Width of the terminal. Without it no line is broken. */
  columns?: number | undefined;
  /** Why no duration is known. */
  noEstimate?: string | undefined;
}

export function renderPlan(
  planned: readonly PlannedStage[],
  heading: string,
  { columns, noEstimate }: Page = {},
): string {
  const seconds = (ms: number) => (ms === 0 ? '' : ` (about ${Math.max(1, Math.round(ms / 1000))} s)`);
  const total = planned.reduce((sum, stage) => sum + stage.expectedMs, 0);
  const expected =
    total === 0
      ? `The duration is known after the first release${noEstimate === undefined ? '' : `: ${noEstimate}`}.`
      : `Expected: about ${Math.ceil(total / 60_000)} minutes.`;
  const lines = planned.flatMap((stage, index) => [
    `${String(index + 1).padStart(2)}. ${stage.title}${seconds(stage.expectedMs)}`,
    ...stage.steps.map((step) => `      ${step}`),
    ...stage.gates.map(({ title }) => `      gate: ${title}`),
  ]);
  return [heading, ...lines, `${expected} Nothing was changed.`]
    .flatMap((line) => (columns === undefined ? [line] : wrap(line, columns - 1, '        ')))
    .join('\n');
}
