import type { PlanInput, Stage } from './context/stage.ts';
import { stages } from './stages/index.ts';
import type { StageId } from '../journal/events.ts';

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
export function gatesOf(definition: PlanInput['definition']): string[] {
  const [from, to] = [
    { colour: 'blue', version: '' },
    { colour: 'green', version: '' },
  ];
  const plans = (['go-live', 'release', 'rehearsal'] as const).flatMap((kind) =>
    stages.map((stage) => stage.plan({ kind, definition, from, to })),
  );
  return [...new Set(plans.flatMap(({ gates = {} }) => Object.keys(gates)))];
}
