import { containers, images } from './containers.ts';
import { atRest, bucketsAtRest, bucketsInTransit, inTransit } from './encryption.ts';
import { bucketsNotPublic, notPublic } from './exposure.ts';
import { logged } from './logs.ts';
import { leastPrivilege } from './privileges.ts';
import { protectedInProduction, secondRegion, survivesAZone } from './protection.ts';
import type { Resource, Rule, Scope } from './rule.ts';
import { tagged } from './tags.ts';

/** All rules, in the order of the report. Rules that compare staging with production are in `parity.ts`. */
export const rules: readonly Rule[] = [
  inTransit,
  bucketsInTransit,
  atRest,
  bucketsAtRest,
  notPublic,
  bucketsNotPublic,
  leastPrivilege,
  protectedInProduction,
  secondRegion,
  survivesAZone,
  tagged,
  logged,
  containers,
  images,
];

export interface Violation {
  rule: string;
  /** Absent for a rule that checks the stack as a whole. */
  resource?: string;
  found: string;
}

/** Violations of all rules in one stack. */
export const violations = (resources: Resource[], scope: Scope): Violation[] =>
  rules.flatMap((rule) => violationsOf(rule, resources, scope));

function violationsOf(rule: Rule, resources: Resource[], scope: Scope): Violation[] {
  if ('together' in rule) return rule.together(resources, scope).map((found) => ({ rule: rule.name, found }));
  return resources.flatMap((resource) =>
    rule.each(resource, scope).map((found) => ({ rule: rule.name, resource: resource.name, found })),
  );
}

export interface Judgement {
  violations: Violation[];
  /** Number of resources that each rule checked, by its name. Absent: none. */
  applied: Record<string, number>;
}

/**
 * Checks one stack and counts the resources that each rule checked, because a rule that checked none proves nothing.
 */
export function judge(resources: Resource[], scope: Scope): Judgement {
  const applied: Judgement['applied'] = {};
  const found = rules.map((rule) => {
    const looked = new Set<Resource>();
    // A rule counts as applied to a resource when it reads the properties: only the rule knows its resource types.
    const watched = resources.map((resource): Resource => ({
      type: resource.type,
      name: resource.name,
      get props() {
        looked.add(resource);
        return resource.props;
      },
    }));
    const violations = violationsOf(rule, watched, scope);
    if (looked.size > 0) applied[rule.name] = looked.size;
    return violations;
  });
  return { violations: found.flat(), applied };
}
