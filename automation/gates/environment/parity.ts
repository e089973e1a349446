import type { EnvironmentSpec } from '../../../infra/model.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';

export interface ParityGate {
  staging: EnvironmentSpec;
  production: EnvironmentSpec;
  /** Other facts of both, such as tool versions; compared in the same way. */
  facts?: { staging: Record<string, unknown>; production: Record<string, unknown> };
}

/** Settings in which staging may differ, and why. `*` matches one part of a path. */
const intended: Record<string, string> = {
  environment: 'its name',
  port: 'both can run on one machine',
  'services.*.instances': 'another size, the same components',
  'database.maxConnections': 'another size, the same components',
  seed: 'test data instead of real data',
};

/** A setting that differs between staging and production. */
export interface Difference {
  path: string;
  staging: unknown;
  production: unknown;
  /** Why the difference is intended; undefined: it is not. */
  reason: string | undefined;
}

/** Staging has the settings of production. Every difference is listed and has to be an intended one. */
export function parityGate({ staging, production, facts }: ParityGate): Gate {
  return {
    id: 'parity',
    title: 'Staging mirrors production',
    async measure({ evidence }) {
      const left = { ...staging, ...facts?.staging };
      const right = { ...production, ...facts?.production };
      const { compared, differences } = compareSettings(left, right);
      await evidence.write('parity.json', JSON.stringify({ compared, differences }, undefined, 2));
      return { measurements: judgeParity(compared, differences) };
    },
  };
}

/** Compares two trees of settings leaf by leaf. List items are matched by `name`, or by index if they have none. */
export function compareSettings(staging: object, production: object): { compared: number; differences: Difference[] } {
  const left = leaves(staging);
  const right = leaves(production);
  const paths = [...new Set([...left.keys(), ...right.keys()])].sort();
  const differences = paths
    .filter((path) => left.get(path) !== right.get(path))
    .map((path) => ({
      path,
      staging: left.get(path),
      production: right.get(path),
      reason: Object.entries(intended).find(([pattern]) => matches(pattern, path))?.[1],
    }));
  return { compared: paths.length, differences };
}

/** One measurement for all settings, and one for each difference that is not intended. */
export function judgeParity(compared: number, differences: Difference[]): Measurement[] {
  if (compared === 0) {
    return [{ name: 'settings compared', measured: 'none', wanted: '>= 1', verdict: 'inconclusive' }];
  }
  const unintended = differences.filter(({ reason }) => reason === undefined);
  const meant = differences.filter(({ reason }) => reason !== undefined).map(({ path }) => path);
  const list = meant.length > 0 ? ` (${meant.join(', ')})` : '';
  return [
    check(
      'settings compared',
      'only intended differences',
      `${compared}, ${meant.length} differ as intended${list}`,
      unintended.length === 0,
      `${unintended.length} differences are not intended.`,
    ),
    ...unintended.map(({ path, staging, production }) =>
      check(
        path,
        `as in production: ${show(production)}`,
        show(staging),
        false,
        'A release that passes on staging may fail on production.',
      ),
    ),
  ];
}

const show = (value: unknown): string => (value === undefined ? 'missing' : JSON.stringify(value));

function matches(pattern: string, path: string): boolean {
  const wanted = pattern.split('.');
  const parts = path.split('.');
  return wanted.length === parts.length && wanted.every((part, i) => part === '*' || part === parts[i]);
}

function leaves(value: unknown, path: string[] = [], into = new Map<string, unknown>()): Map<string, unknown> {
  if (Array.isArray(value)) {
    value.forEach((item: unknown, i) => leaves(item, [...path, nameOf(item) ?? String(i)], into));
  } else if (value !== null && typeof value === 'object') {
    for (const [key, inner] of Object.entries(value)) leaves(inner, [...path, key], into);
  } else if (value !== undefined) {
    // Dots separate the parts of a path, so a dot within a part must not look like one.
    into.set(path.map((part) => part.replaceAll('.', '_')).join('.'), value);
  }
  return into;
}

function nameOf(item: unknown): string | undefined {
  const name = item !== null && typeof item === 'object' && 'name' in item ? item.name : undefined;
  return typeof name === 'string' ? name : undefined;
}
