import type { PlanInput, Stage } from './stage.ts';
import type { StageId } from './events.ts';

export interface PlannedStage {
  id: StageId;
  title: string;
  steps: string[];
  gates: { id: string; title: string; stage: StageId }[];
  /** As long as it took last time, else an estimate; milliseconds. */
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
      expectedMs: lastMs.get(stage.id) ?? workMs + observationMs,
    };
  });
}

/** The plan as text for a terminal. */
export function renderPlan(planned: readonly PlannedStage[], heading: string): string {
  const seconds = (ms: number) => `${Math.max(1, Math.round(ms / 1000))} s`;
  const total = planned.reduce((sum, stage) => sum + stage.expectedMs, 0);
  const lines = planned.flatMap((stage, index) => [
    `${String(index + 1).padStart(2)}. ${stage.title} (about ${seconds(stage.expectedMs)})`,
    ...stage.steps.map((step) => `      ${step}`),
    ...stage.gates.map(({ title }) => `      gate: ${title}`),
  ]);
  return [heading, ...lines, `Expected: about ${Math.ceil(total / 60_000)} minutes. Nothing was changed.`].join('\n');
}
