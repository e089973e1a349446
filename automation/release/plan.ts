import type { Platform } from '../../infra/platform/platform.ts';
import type { StageId } from '../journal/events.ts';
import type { Release } from './context/release.ts';
import { plannedSteps, type Stage } from './context/stage.ts';
import { stagesFor } from './stages/index.ts';

export interface PlannedStage {
  id: StageId;
  title: string;
  /** What its steps say, in the order in which a run does them. */
  steps: string[];
  gates: { id: string; title: string; stage: StageId }[];
  /** As long as it took last time, else an estimate of a local one; milliseconds. 0: not known. */
  expectedMs: number;
}

/** What a release would do, in order. Changes nothing. */
export function planRelease(
  stages: readonly Stage[],
  { noEstimate }: Pick<Platform, 'noEstimate'>,
  lastMs: Map<string, number>,
): PlannedStage[] {
  return stages.map((stage) => {
    const { id, title, workMs, observationMs } = stage;
    const steps = plannedSteps(stage);
    return {
      id,
      title,
      steps: steps.flatMap(({ says, includes = [] }) => [says, ...includes.map((part) => `  ${part}`)]),
      gates: steps.flatMap(({ gates = {} }) =>
        Object.entries(gates).map(([gate, called]) => ({ id: gate, title: called, stage: id })),
      ),
      expectedMs: lastMs.get(id) ?? (noEstimate === undefined ? workMs + observationMs : 0),
    };
  });
}

/** Ids of the gates that releases by this definition have, of whatever kind. They are the same on every platform. */
export function gatesOf(definition: Release['definition']): string[] {
  const facts = {
    definition,
    to: { colour: 'green', version: definition.application.version },
    platform: { idleColour: 'taken down', heldWrites: 'wait', endsLong: true, settlesMs: 0, initialCopy: 'physical' },
  } as const;
  const from = { colour: 'blue', version: '', artefact: { version: '', digest: '', location: '' } } as const;
  const releases: Release[] = [
    { ...facts, kind: 'go-live', environment: 'production' },
    { ...facts, kind: 'release', environment: 'production', from },
    { ...facts, kind: 'rehearsal', environment: 'staging', from },
  ];
  const steps = releases.flatMap(stagesFor).flatMap(plannedSteps);
  return [...new Set(steps.flatMap(({ gates = {} }) => Object.keys(gates)))];
}
