/** How often to check whether the engine was killed, ms. */
const checkMs = 200;

/** Ends this plug-in if the engine, its parent process, has ended. */
export function endWithEngine(): void {
  const engine = process.ppid;
  setInterval(() => {
    if (process.ppid !== engine) process.exit(1);
  }, checkMs).unref();
}
