export class SetupProblem extends Error {
  constructor(doing: string, found: string, todo: string);
  readonly doing: string;
  readonly found: string;
}
export class Unreachable extends SetupProblem {}
