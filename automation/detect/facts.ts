import type { Folder } from './folder.ts';

/** What was found, and from what it follows. */
export interface Fact<T> {
  value: T;
  /** For the comment beside it: `package.json scripts.start`. */
  from: string;
}

export const fact = <T>(value: T, from: string): Fact<T> => ({ value, from });

/** Something that runs, and how. Exactly one of `start` and `image` is known. */
export interface ProcessFacts {
  name: string;
  start?: Fact<string[]>;
  image?: Fact<{ dockerfile: string }>;
  env?: Record<string, Fact<string>>;
}

export interface ServiceFacts extends ProcessFacts {
  /** A path that probably tells health, and others to ask the running application for. */
  health?: Fact<string>;
}

export interface MigrationFacts {
  /** The tool's name, for a person. */
  tool: string;
  expand?: Fact<string[]>;
  /** Folder of plain SQL files. */
  directory?: Fact<string>;
  records: string[];
}

export type TestKind = 'unit' | 'integration' | 'acceptance';

export interface TestFacts {
  kind: TestKind;
  command: Fact<string[]>;
  format: 'junit' | 'tap' | 'exit-code';
}

/** How what runs comes to be: the commands, in order, run in a copy of the folder. */
export type PrepareFacts = Fact<string[]>;

/** What one detector says. Detectors that know nothing of a folder return an empty object. */
export interface Facts {
  /** What was recognised, for a person: `Express`, `Django`. */
  is?: Fact<string>;
  name?: Fact<string>;
  version?: Fact<string>;
  baseline?: Fact<string>;
  prepare?: PrepareFacts[];
  services?: ServiceFacts[];
  workers?: ProcessFacts[];
  schedules?: (ProcessFacts & { cron: Fact<string> })[];
  /** Variables that a service wants, with what they mean in a template. */
  env?: Record<string, Fact<string>>;
  /** A service reads the database. */
  database?: Fact<true>;
  /** Variables that are secret, by the name of the secret. */
  secrets?: Record<string, Fact<string>>;
  migrations?: MigrationFacts;
  tests?: TestFacts[];
  /** Paths that may tell health, the most probable first. */
  health?: Fact<string>[];
  /** What was seen and cannot be said in a definition, a sentence each. */
  notes?: string[];
}

/** A detector: pure, over the read-only view. */
export type Detector = (folder: Folder) => Facts;
