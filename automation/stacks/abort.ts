/** How long Ctrl-C at a terminal may take to reach the engine, ms. */
const graceMs = 500;

/**
 * Passes an abort on to the engine as exactly one interrupt. The engine stops at once on a second one and would leave
 * resources half made. Ctrl-C at a terminal reaches the engine directly, which its output shows; then none is sent.
 */
export function forwardAbort(signal: AbortSignal | undefined): {
  signal: AbortSignal;
  watch: (output: string) => void;
  end: () => void;
} {
  const forwarded = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let interrupted = false;
  const onAbort = () => {
    timer = setTimeout(() => {
      if (!interrupted) forwarded.abort();
    }, graceMs);
  };
  signal?.addEventListener('abort', onAbort);
  return {
    signal: forwarded.signal,
    watch: (output) => {
      interrupted ||= output.includes('^C received');
    },
    end: () => {
      signal?.removeEventListener('abort', onAbort);
      clearTimeout(timer);
    },
  };
}
