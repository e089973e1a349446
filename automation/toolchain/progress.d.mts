export interface Step {
  name: string;
  what: string;
  lane: string;
  /** Usual duration. */
  seconds: number;
  /** Why this way was taken, if it is not the usual one. */
  why?: string;
}

export interface Progress {
  say(text: string): void;
  step<T>(step: Step, work: (change: (next: Partial<Step>) => void) => Promise<T>): Promise<T>;
  draw(): void;
  stop(): void;
}

export function summary(steps: readonly (Step & { running: boolean })[], elapsedSeconds: number): string;
export function createProgress(
  stream?: { isTTY?: boolean; columns?: number; write(text: string): unknown },
  now?: () => number,
): Progress;
