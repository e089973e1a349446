/** Something that the user has to do. `message` is complete; no stack trace is shown for it. */
export class SetupProblem extends Error {
  constructor(doing, found, todo) {
    super(`${doing}: ${found}\n${todo.replace(/^/gm, '  ')}`);
    this.name = 'SetupProblem';
  }
}
