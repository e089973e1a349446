import type { z } from 'zod';
import { didYouMean, nearest } from '../../infra/lib/nearest.ts';
import { knownKeys, metaOf, schemaAt } from './reflect.ts';

/** One problem of a definition. `path` in the notation of TypeScript: `application.services[1].routes[0]`. */
export interface ConfigProblem {
  path: string;
  /** What was found and what to do. */
  message: string;
}

/** The messages for all issues of the validation. */
export function describeIssues(
  schema: z.ZodType,
  issues: readonly z.core.$ZodIssue[],
  input: unknown,
): ConfigProblem[] {
  return issues.flatMap((issue) => describeIssue(schema, issue, input));
}

function describeIssue(
  schema: z.ZodType,
  issue: z.core.$ZodIssue,
  input: unknown,
  at: PropertyKey[] = [],
): ConfigProblem[] {
  const path = [...at, ...issue.path];
  const found = valueAt(input, path);
  const one = (message: string): ConfigProblem[] => [{ path: formatPath(path), message }];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, path, knownKeys(schema, path)));
    case 'invalid_union':
      return bestForm(issue.errors).flatMap((inside) => describeIssue(schema, inside, input, path));
    case 'invalid_key':
      return issue.issues.flatMap((inside) => one(`found the name ${show(path.at(-1))}; ${inside.message}`));
    case 'invalid_type':
      if (found === undefined) return one(missing(schema, path, issue.expected));
      return one(`found ${show(found)}; give ${wording[issue.expected] ?? issue.expected}`);
    case 'invalid_value':
      if (found === undefined) return one(missing(schema, path, 'value'));
      return one(
        `found ${show(found)}; choose one of ${issue.values.map(show).join(', ')}${didYouMean(found, issue.values.map(String))}`,
      );
    case 'too_small':
      return one(`found ${show(found)}; give ${bound(issue.origin, 'at least', issue.minimum, issue.inclusive)}`);
    case 'too_big':
      return one(`found ${show(found)}; give ${bound(issue.origin, 'at most', issue.maximum, issue.inclusive)}`);
    case 'custom':
      // Messages of rules over several values name what they found. Those of rules for one value do not, so it is
      // added.
      return one(
        isScalar(found) && issue.params?.['complete'] !== true
          ? `found ${show(found)}; ${issue.message}`
          : issue.message,
      );
    default:
      return one(`found ${show(found)}; ${issue.message}`);
  }
}

const wording: Record<string, string> = {
  string: 'a text in quotes',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list, in [ ]',
  object: 'a group of settings, in { }',
  record: 'a group of names and values, in { }',
};

function missing(schema: z.ZodType, path: PropertyKey[], expected: string): string {
  const at = schemaAt(schema, path);
  const description = at === undefined ? undefined : metaOf(at)['description'];
  const what = wording[expected] ?? `a ${expected}`;
  return typeof description === 'string' ? `is missing; give ${what}: ${description}` : `is missing; give ${what}`;
}

function bound(origin: string, side: string, limit: number | bigint, inclusive: boolean | undefined): string {
  if (origin === 'string') return `${side} ${limit} character${limit === 1 ? '' : 's'}`;
  if (origin === 'array') return `${side} ${limit} ${limit === 1 ? 'entry' : 'entries'}`;
  if (inclusive === false) return side === 'at least' ? `more than ${limit}` : `less than ${limit}`;
  return `${side} ${limit}`;
}

/** The form of a union that was probably meant: fewest unknown keys of its own, then of all in it, then fewest issues. */
function bestForm(forms: readonly (readonly z.core.$ZodIssue[])[]): readonly z.core.$ZodIssue[] {
  const strange = (issues: readonly z.core.$ZodIssue[], depth = Infinity): number =>
    issues.reduce((sum, i) => sum + (i.code === 'unrecognized_keys' && i.path.length <= depth ? i.keys.length : 0), 0);
  const order = (a: readonly z.core.$ZodIssue[], b: readonly z.core.$ZodIssue[]): number =>
    strange(a, 0) - strange(b, 0) || strange(a) - strange(b) || a.length - b.length;
  return [...forms].sort(order)[0] ?? [];
}

/** Keys of earlier versions, and what to write instead. */
const replaced: Record<string, string> = {
  'application.writes.methods':
    'is replaced by application.writes.reads, the methods that only read: every other method writes; leave it out where GET, HEAD, OPTIONS and TRACE only read',
};

function unknownKey(key: string, path: PropertyKey[], known: string[]): ConfigProblem {
  const instead = replaced[formatPath([...path, key])];
  if (instead !== undefined) return { path: formatPath([...path, key]), message: instead };
  const near = nearest(key, known);
  const message = known.includes(key)
    ? 'unknown key here: it belongs to another form of this setting, so leave it out'
    : near === undefined
      ? `unknown key; known here: ${[...new Set(known)].join(', ')}`
      : `unknown key; did you mean "${near}"?`;
  return { path: formatPath([...path, key]), message };
}

export function formatPath(path: readonly PropertyKey[]): string {
  if (path.length === 0) return '(the whole file)';
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    const key = String(part);
    if (!/^[A-Za-z_$][\w$]*$/.test(key)) return `${text}[${JSON.stringify(key)}]`;
    return text === '' ? key : `${text}.${key}`;
  }, '');
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, part) => (isObject(value) ? value[part] : undefined), input);
}

const isObject = (value: unknown): value is Record<PropertyKey, unknown> => typeof value === 'object' && value !== null;
const isScalar = (value: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof value);

const longest = 60;

/** A value for a message: short, and in quotes where it is text, so that spaces and `;` are seen. */
function show(value: unknown): string {
  if (typeof value === 'number' || value === undefined) return String(value);
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value) && value.length > 0) return `a list of ${value.length}`;
  if (isObject(value) && !Array.isArray(value)) return 'a group of settings';
  const text = JSON.stringify(value, (_key, inside: unknown) => (typeof inside === 'bigint' ? `${inside}n` : inside));
  return text.length > longest ? `${text.slice(0, longest)}...` : text;
}
