import { colours, stackName, type EnvironmentName, type StackKind } from '../../../infra/model.ts';
import type { Resource } from '../../../infra/policies/rule.ts';
import { judge, rules, type Violation } from '../../../infra/policies/rules.ts';
import type { Measurement } from '../../journal/verdict.ts';

/** The resources of one stack in the engine's state. */
export interface StackResources {
  environment: EnvironmentName;
  kind: StackKind;
  resources: Resource[];
}

export interface ResourceFacts {
  /** Whether at least one rule has to apply: true on the platform that the rules are written for. */
  expected: boolean;
  stacks: StackResources[];
  /** Differences of production that staging would not show, one sentence each; undefined: not compared. */
  parity?: string[] | undefined;
}

interface Judged extends Violation {
  stack: string;
}

/**
 * Judges the resources that the engine made by the rules of the policy pack. The pack also runs before resources are
 * made, but some values are unknown then. Pure.
 */
export function judgeResources({ expected, stacks, parity }: ResourceFacts): Measurement[] {
  const violations: Judged[] = [];
  const applied = new Map<string, number>();
  for (const { environment, kind, resources } of stacks) {
    const judgement = judge(resources, { environment, colour: colours.find((colour) => colour === kind) });
    violations.push(...judgement.violations.map((found) => ({ ...found, stack: stackName(environment, kind) })));
    for (const [rule, count] of Object.entries(judgement.applied)) applied.set(rule, (applied.get(rule) ?? 0) + count);
  }
  const count = stacks.reduce((sum, { resources }) => sum + resources.length, 0);
  const ofRules = rules.flatMap(({ name, description }) =>
    ofRule(name, description, applied.get(name) ?? 0, violations),
  );
  return [coverage(expected, applied.size, count), ...ofRules, ...ofParity(parity)];
}

function coverage(expected: boolean, applied: number, resources: number): Measurement {
  const measured = `${applied} of ${rules.length} apply to ${resources} resources`;
  const name = 'rules for resources';
  if (!expected) return { name, measured, wanted: 'as far as they apply', verdict: 'pass' };
  const nothing = applied === 0;
  const note = 'No rule applied to any resource: the stacks are not up, or their state could not be read.';
  return { name, measured, wanted: '>= 1', verdict: nothing ? 'inconclusive' : 'pass', ...(nothing ? { note } : {}) };
}

function ofRule(name: string, description: string, applied: number, all: Judged[]): Measurement[] {
  const mine = all.filter(({ rule }) => rule === name);
  if (mine.length > 0)
    return mine.map(({ stack, resource, found }) => ({
      name,
      measured: `${stack}${resource === undefined ? '' : ` ${resource}`}: ${found}`,
      wanted: 'no violation',
      verdict: 'fail',
      note: description,
    }));
  return applied === 0 ? [] : [{ name, measured: `${applied} resources`, wanted: 'no violation', verdict: 'pass' }];
}

function ofParity(parity: ResourceFacts['parity']): Measurement[] {
  if (parity === undefined) return [];
  const [name, wanted] = ['staging like production', 'but for sizes and protection'];
  if (parity.length === 0) return [{ name, measured: 'the same', wanted, verdict: 'pass' }];
  const note = 'A release that passes on staging may fail on production.';
  return parity.map((measured) => ({ name, measured, wanted, verdict: 'fail', note }));
}
