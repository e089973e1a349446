/**
 * Does `work` while clients of AWS repeat calls at once. Their SDK waits a random share of its backoff ("full jitter"), which is
 * up to 20 s in all for one call that fails for good.
 */
export async function withoutBackoff<T>(work: () => Promise<T>): Promise<T> {
  const { random } = Math;
  Math.random = () => 0;
  try {
    return await work();
  } finally {
    Math.random = random;
  }
}
