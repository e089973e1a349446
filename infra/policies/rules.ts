import { containers, images } from './containers.ts';
import { atRest, bucketsAtRest, bucketsInTransit, inTransit } from './encryption.ts';
import { bucketsNotPublic, notPublic } from './exposure.ts';
import { logged } from './logs.ts';
import { leastPrivilege } from './privileges.ts';
import { protectedInProduction, secondRegion, survivesAZone } from './protection.ts';
import type { Resource, Rule, Scope } from './rule.ts';
import { tagged } from './tags.ts';

/** All rules, in the order in which they are reported. What staging and production must share is in `parity.ts`. */
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
  /** Absent where a rule looks at a stack as a whole. */
  resource?: string;
  found: string;
}

/** What is wrong with the resources of one stack. */
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
  /** How many resources each rule looked into; a rule that is not here had nothing to apply to. */
  applied: Record<string, number>;
}

/** Judges the resources of one stack, and says how many each rule applied to: none at all proves nothing. */
export function judge(resources: Resource[], scope: Scope): Judgement {
  const applied: Judgement['applied'] = {};
  const found = rules.map((rule) => {
    const looked = new Set<Resource>();
    // A rule applies to a resource when it looks at its properties: which types those are is the rule's own business.
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
