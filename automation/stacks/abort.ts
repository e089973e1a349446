/** How long Ctrl-C may take to reach the engine by itself. */
const graceMs = 500;

/**
 * Passes an abort on to the engine as one interrupt, never two: it takes the second one for "stop at once", and would
 * leave resources half made. At a terminal, Ctrl-C has reached it already by itself; it says so in its output.
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
