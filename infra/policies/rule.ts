import type { Colour, EnvironmentName } from '../model.ts';

/** A resource as the engine sees it before it changes anything: its inputs, by the provider's names. */
export interface Resource {
  type: string;
  name: string;
  props: Readonly<Record<string, unknown>>;
}

/** Which stack it belongs to. */
export interface Scope {
  /** `account`: of the pipeline, which is there once for both. */
  environment: EnvironmentName | 'account';
  colour?: Colour | undefined;
}

/** A rule of policy: pure. Says what is wrong, one sentence each, and nothing where it does not apply. */
export type Rule = { name: string; description: string } & (
  | { each: (resource: Resource, scope: Scope) => string[] }
  /** Needs all resources of the stack. */
  | { together: (resources: Resource[], scope: Scope) => string[] }
);

/** One sentence where something does not hold. */
export const unless = (holds: boolean, violation: string): string[] => (holds ? [] : [violation]);

/** Runs a check on resources of these types, `rds/instance:Instance` without the package. */
export const on =
  (types: string[], check: (resource: Resource, scope: Scope) => string[]) =>
  (resource: Resource, scope: Scope): string[] =>
    types.some((type) => resource.type === `aws:${type}`) ? check(resource, scope) : [];

export interface Statement {
  Effect: 'Allow' | 'Deny';
  Principal?: string | Record<string, string | string[]>;
  Action: string[];
  Resource: string[];
  Condition?: Record<string, Record<string, unknown>>;
}

const listOf = <T>(value: T | T[] | undefined): T[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

/** The statements of a policy document, JSON or object; actions and resources always as lists. */
export function statementsOf(document: unknown): Statement[] {
  const parsed = (typeof document === 'string' ? JSON.parse(document) : document) as
    { Statement?: unknown } | undefined;
  return listOf(parsed?.Statement as Record<string, unknown> | Record<string, unknown>[] | undefined).map(
    (statement) =>
      ({
        ...statement,
        Action: listOf(statement['Action'] as string | string[] | undefined),
        Resource: listOf(statement['Resource'] as string | string[] | undefined),
      }) as Statement,
  );
}

/** Everybody, on the whole internet. */
export const isEverybody = ({ Principal }: Statement): boolean =>
  Principal === '*' ||
  (typeof Principal === 'object' && Object.values(Principal).some((who) => listOf(who).includes('*')));
