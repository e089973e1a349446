import type { Colour, EnvironmentName } from '../model.ts';

/** A resource as the engine passes it to policies before any change: its inputs, under the provider's names. */
export interface Resource {
  type: string;
  name: string;
  props: Readonly<Record<string, unknown>>;
}

/** The stack of a resource. */
export interface Scope {
  /** `account`: the pipeline stack, which belongs to no environment. */
  environment: EnvironmentName | 'account';
  colour?: Colour | undefined;
}

/** A policy rule, pure. Returns a sentence per violation. */
export type Rule = { name: string; description: string } & (
  | { each: (resource: Resource, scope: Scope) => string[] }
  /** Checks all resources of a stack at once. */
  | { together: (resources: Resource[], scope: Scope) => string[] }
);

export const unless = (holds: boolean, violation: string): string[] => (holds ? [] : [violation]);

/** Limits a check to resources of these types, without the package name: `rds/instance:Instance`. */
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

/** The statements of a policy document (JSON or object), with actions and resources as arrays. */
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

/** Whether the principal is `*`: anybody, without AWS credentials. */
export const isEverybody = ({ Principal }: Statement): boolean =>
  Principal === '*' ||
  (typeof Principal === 'object' && Object.values(Principal).some((who) => listOf(who).includes('*')));
