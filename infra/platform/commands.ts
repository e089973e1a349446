import type { Artefact, Colour } from '../model.ts';

/** Whose command it is: of a service of a version, on a colour, with the rights of a role of the database. */
export interface CommandOf {
  colour: Colour;
  artefact: Artefact;
  service: string;
  role: 'app' | 'owner';
}

/** One-off commands of a person. They are run on the machine that asks for them, with its terminal. */
export interface Commands {
  /** Where such a command runs, and all its variables. The values may be secret. */
  prepare(of: CommandOf): Promise<{ directory: string; variables: Record<string, string> }>;
}
