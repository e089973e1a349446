import type { PlanInput, Stage } from './stage.ts';
import type { StageId } from './events.ts';
import { wrap } from '../ui/text.ts';

export interface PlannedStage {
  id: StageId;
  title: string;
  steps: string[];
  gates: { id: string; title: string; stage: StageId }[];
  /** As long as it took last time, else an estimate of a local one; milliseconds. 0: not known. */
  expectedMs: number;
}

/** What a release would do, in order. Changes nothing. */
export function planRelease(stages: readonly Stage[], input: PlanInput, lastMs: Map<string, number>): PlannedStage[] {
  return stages.map((stage) => {
    const { steps, gates = {}, workMs, observationMs } = stage.plan(input);
    return {
      id: stage.id,
      title: stage.title,
      steps,
      gates: Object.entries(gates).map(([id, title]) => ({ id, title, stage: stage.id })),
      expectedMs: lastMs.get(stage.id) ?? (input.definition.platform === 'local' ? workMs + observationMs : 0),
    };
  });
}

/** Ids of the gates that releases by this definition have, of whatever kind. */
export function gatesOf(stages: readonly Stage[], definition: PlanInput['definition']): string[] {
  const [from, to] = [
    { colour: 'blue', version: '' },
    { colour: 'green', version: '' },
  ];
  const plans = (['go-live', 'release', 'rehearsal'] as const).flatMap((kind) =>
    stages.map((stage) => stage.plan({ kind, definition, from, to })),
  );
  return [...new Set(plans.flatMap(({ gates = {} }) => Object.keys(gates)))];
}

/** The plan as text for a terminal of so many columns; undefined: it is no terminal, and nothing is broken. */
export function renderPlan(planned: readonly PlannedStage[], heading: string, columns?: number): string {
  const seconds = (ms: number) => (ms === 0 ? '' : ` (about ${Math.max(1, Math.round(ms / 1000))} s)`);
  const total = planned.reduce((sum, stage) => sum + stage.expectedMs, 0);
  const expected =
    total === 0
      ? 'How long this takes is known after the first release there: a database of AWS alone takes 5 to 15 minutes.'
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
