/** Waits until this process holds the lock, then runs `work`. A lock whose process is dead is taken over. */
export function withLock<T>(path: string, waiting: (pid: number) => void, work: () => Promise<T>): Promise<T>;
