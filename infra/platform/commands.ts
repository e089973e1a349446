import type { Artefact, Colour } from '../model.ts';

/** Whose command it is: of a service of a version, on a colour, with the rights of a role of the database. */
export interface CommandOf {
  colour: Colour;
  artefact: Artefact;
  service: string;
  role: 'app' | 'owner';
  /** Program and arguments. */
  command: string[];
  /** What it reads from: a terminal, or anything else. */
  input: 'pipe' | 'terminal';
}

/** How such a command is started. */
export interface PreparedCommand {
  argv: string[];
  directory: string;
  /** All its variables. The values may be secret. */
  variables: Record<string, string>;
  /** Removes what is left of it. */
  end(): Promise<void>;
}

/** One-off commands of a person. They are run on the machine that asks for them, with its terminal. */
export interface Commands {
  /** In the image of the service, where the version has one, or else in its directory. */
  prepare(of: CommandOf): Promise<PreparedCommand>;
}
