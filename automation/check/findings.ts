import type { Workbench } from '../../infra/platform/workbench.ts';
import type { ReleaseDefinition } from '../config/schema.ts';

/** What `check` found, in the manner of a compiler: what it is about, what it is, and the cure. */
export interface CheckLine {
  /** error: a release would be refused, or fail. warning: it may harm users, or surprises. */
  level: 'error' | 'warning' | 'ok';
  /** A key of the definition, a file, a table or a request. */
  about: string;
  says: string;
  cure?: string;
}

/** Collects lines, and hands each on as soon as it is known. */
export interface Findings {
  error(about: string, says: string, cure?: string): void;
  warning(about: string, says: string, cure?: string): void;
  ok(about: string, says: string): void;
  readonly lines: readonly CheckLine[];
}

export function collect(show: (line: CheckLine) => void): Findings {
  const lines: CheckLine[] = [];
  const add = (level: CheckLine['level'], about: string, says: string, cure?: string): void => {
    const line = { level, about, says, ...(cure === undefined ? {} : { cure }) };
    lines.push(line);
    show(line);
  };
  return {
    lines,
    error: (about, says, cure) => add('error', about, says, cure),
    warning: (about, says, cure) => add('warning', about, says, cure),
    ok: (about, says) => add('ok', about, says),
  };
}

/** The text of a line. */
export function renderLine({ level, about, says, cure }: CheckLine): string {
  const head = `${level.padEnd(7)}  ${about}: ${says.trim().replaceAll('\n', '\n           ')}`;
  return cure === undefined ? head : `${head}\n         cure: ${cure.trim().replaceAll('\n', '\n               ')}`;
}

/** The last line of the output. */
export function renderEnd(lines: readonly CheckLine[], seconds: number): string {
  const count = (level: CheckLine['level'], word: string): string => {
    const many = lines.filter((line) => line.level === level).length;
    return `${many} ${word}${many === 1 ? '' : 's'}`;
  };
  return `${count('error', 'error')}, ${count('warning', 'warning')}, in ${Math.round(seconds)} s. Nothing was changed.`;
}

/** What is checked, and where. */
export interface Check {
  definition: ReleaseDefinition;
  bench: Workbench;
  found: Findings;
  signal: AbortSignal;
  /** What is being done now, for a person who waits. */
  waiting: (text: string) => void;
}
