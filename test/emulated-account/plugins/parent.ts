/** How soon a plug-in notices that the engine was killed. */
const checkMs = 200;

/** The engine starts plug-ins, and ends them. They must not work on without one. */
export function endWithEngine(): void {
  const engine = process.ppid;
  setInterval(() => {
    if (process.ppid !== engine) process.exit(1);
  }, checkMs).unref();
}
