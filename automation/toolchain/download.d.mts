/** Downloads one file whose checksum is pinned; rejects with a SetupProblem. */
export function download(
  pinned: { url: string; sha256: string; bytes: number },
  target: string,
  limits?: { silenceMs?: number },
): Promise<void>;
