/** A problem that the user has to solve. It is shown without a stack trace. */
export class SetupProblem extends Error {
  constructor(doing, found, todo) {
    super(`${doing}: ${found}\n${todo.replace(/^/gm, '  ')}`);
    this.name = 'SetupProblem';
    this.doing = doing;
    this.found = found;
  }
}

/** A download failed, so another way may be tried. Not for a file with a wrong digest. */
export class Unreachable extends SetupProblem {}
