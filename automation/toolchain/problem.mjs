/** Something that the user has to do. `message` is complete; no stack trace is shown for it. */
export class SetupProblem extends Error {
  constructor(doing, found, todo) {
    super(`${doing}: ${found}\n${todo.replace(/^/gm, '  ')}`);
    this.name = 'SetupProblem';
    this.doing = doing;
    this.found = found;
  }
}

/** A place cannot be reached, or did not deliver: another way may be tried. Never for a file that is not the published one. */
export class Unreachable extends SetupProblem {}
