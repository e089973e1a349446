import type { EngineEvent } from '@pulumi/pulumi/automation/index.js';
import { OperationError, type Cure } from '../../infra/lib/errors.ts';

/** The engine began or ended to change a resource. */
export interface Progress {
  stack: string;
  /** The resource's name: `api.blue.1`. */
  resource: string;
  /** `create`, `update`, `delete`, ... */
  operation: string;
  state: 'started' | 'done' | 'failed';
}

export const resourceName = (urn: string): string => urn.split('::').at(-1) ?? urn;

const nameOf = (urn: string | undefined): string | undefined =>
  urn === undefined || urn === '' ? undefined : resourceName(urn);

/** Collects the events of one run of the engine. */
export class EventCollector {
  /** Number of resources by operation: `create`, `update`, `delete`, `replace`, `same`. */
  changes: Record<string, number> = {};
  readonly #errors: { resource: string | undefined; message: string }[] = [];
  readonly #stack: string;
  readonly #onProgress: ((progress: Progress) => void) | undefined;

  readonly #cure: (words: string) => Cure | undefined;

  constructor(
    stack: string,
    onProgress: ((progress: Progress) => void) | undefined,
    cure: (words: string) => Cure | undefined = () => undefined,
  ) {
    this.#stack = stack;
    this.#onProgress = onProgress;
    this.#cure = cure;
  }

  readonly add = (event: EngineEvent): void => {
    if (event.summaryEvent !== undefined) this.changes = { ...event.summaryEvent.resourceChanges };
    if (event.resourcePreEvent !== undefined) this.#report(event.resourcePreEvent.metadata, 'started');
    if (event.resOutputsEvent !== undefined) this.#report(event.resOutputsEvent.metadata, 'done');
    if (event.resOpFailedEvent !== undefined) this.#report(event.resOpFailedEvent.metadata, 'failed');
    const policy = event.policyEvent;
    if (policy?.enforcementLevel === 'mandatory')
      this.#errors.push({ resource: nameOf(policy.resourceUrn), message: policyMessage(policy) });
    const diagnostic = event.diagnosticEvent;
    if (diagnostic?.severity !== 'error') return;
    this.#errors.push({ resource: nameOf(diagnostic.urn), message: plain(diagnostic.message) });
  };

  #report({ op, urn, type }: { op: string; urn: string; type: string }, state: Progress['state']): void {
    const internal = type.startsWith('pulumi:') || type.startsWith('greenlight:stack:');
    if (internal || op === 'same' || op === 'read') return;
    this.#onProgress?.({ stack: this.#stack, resource: resourceName(urn), operation: op, state });
  }

  /**
   * The error of a failed run: that of the first resource, or the engine's own last error line if it names no resource.
   */
  error(doing: string, cause: unknown, log: string): OperationError {
    const [first, ...more] = this.#errors.filter(({ message }) => message !== 'update failed');
    if (first === undefined) return unnamed(doing, cause, log, this.#cure);
    const [found = '', ...rest] = first.message
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean);
    const where = first.resource === undefined ? '' : `${first.resource}: `;
    const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
    const cure = this.#cure(first.message) ?? { todo: rest.join('; ') || `see ${log}` };
    return new OperationError(doing, `${where}${found}${others}`, cure.todo, {
      cause,
      ...(cure.code && { code: cure.code }),
    });
  }
}

/** An error that names no resource. */
function unnamed(
  doing: string,
  cause: unknown,
  log: string,
  cure: (words: string) => Cure | undefined,
): OperationError {
  const text = plain(cause instanceof Error ? cause.message : String(cause));
  if (/incorrect passphrase/i.test(text)) {
    const todo = 'put back the file `passphrase` that the environment was made with';
    return new OperationError(doing, 'the passphrase is not the one that encrypted the state', todo, { cause });
  }
  const line = /^\s*(?:stderr: )?error: (.+)$/m.exec(text)?.[1] ?? text.trim().split('\n').at(-1) ?? '';
  const known = cure(line) ?? { todo: `see ${log}` };
  return new OperationError(doing, line, known.todo, { cause, ...(known.code && { code: known.code }) });
}

/** Rule name, description and finding in one line. */
const policyMessage = ({ policyName, message }: { policyName: string; message: string }): string =>
  [
    policyName,
    ...plain(message)
      .split('\n')
      .map((line) => line.trim())
      .filter(Boolean),
  ].join(': ');

/** Without the engine's colour codes. */
const plain = (text: string): string =>
  text
    .replace(/<\{%[a-z ]+%\}>/g, '')
    .replace(/^\s*error:\s*/, '')
    .trim();
