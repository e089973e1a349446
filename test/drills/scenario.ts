import type { ReleaseDefinitionInput } from '../../automation/config/schema.ts';
import type { ReleaseVerdict, StageId } from '../../automation/journal/events.ts';
import type { ExitCode } from '../../automation/ui/exit-codes.ts';
import type { Hands } from './hands.ts';

/** Something that a drill found to be as it should be, or not. */
export interface Check {
  what: string;
  ok: boolean;
  found: string;
}

/** One fault, and what Greenlight has to make of it. */
export interface Scenario {
  name: string;
  /** For a person. */
  fault: string;
  expect: {
    exitCode: ExitCode;
    /** `refused`: the command ends with a message before there is a release to report on. */
    verdict: ReleaseVerdict | 'refused';
    /** Stage that catches it; with `go`: that goes on. */
    stage: StageId;
    /** Gate that catches it; absent: the stage itself. */
    gate?: string;
    /** What a refusal has to speak of: another one would be no finding. */
    says?: RegExp;
  };
  /** What it may be caught as instead, where it is chance whether a client felt anything. */
  orElse?: Scenario['expect'];
  /** What clients may feel. `failed requests`: some fail until traffic is taken back. `lost writes`: by the version itself. */
  felt: 'nothing' | 'failed requests' | 'lost writes';
  /** Programs that the drill itself ends for good: they are other processes afterwards. Absent: none. */
  restarted?: RegExp;
  /** A fault of the sample (`examples/think-in-coin/faults.ts`), or one of `planted-faults.ts`. */
  compiled?: string;
  planted?: string;
  /** What is different in the release definition. */
  changes?: Partial<ReleaseDefinitionInput>;
  env?: Record<string, string>;
  /** Before the release; what it resolves to puts the world right again. */
  arrange?: (hands: Hands) => Promise<() => Promise<void>>;
  /** While the release runs: so long after the stage began, ms, and then as soon as `when` says so, asked every few milliseconds. */
  act?: {
    stage: StageId;
    afterMs: number;
    when?: (hands: Hands) => Promise<boolean>;
    run: (hands: Hands) => Promise<Check[]>;
  };
  /** Longest time of one command, minutes; 10 if absent. */
  minutes?: number;
  /** The release is killed by `act`, and this verb is what ends it. */
  endedBy?: 'resume';
}
