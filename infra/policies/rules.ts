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
export function violations(resources: Resource[], scope: Scope): Violation[] {
  return rules.flatMap((rule): Violation[] => {
    if ('together' in rule) return rule.together(resources, scope).map((found) => ({ rule: rule.name, found }));
    return resources.flatMap((resource) =>
      rule.each(resource, scope).map((found) => ({ rule: rule.name, resource: resource.name, found })),
    );
  });
}
