import { PolicyPack, type Policies } from '@pulumi/policy';
import { colours, stackKinds, stackName, type EnvironmentName } from '../model.ts';
import { pipelineStack } from '../stacks.ts';
import type { Resource, Rule, Scope } from './rule.ts';
import { rules } from './rules.ts';

/** The stack of a resource, from its URN: `urn:pulumi:<stack>::<project>::<type>::<name>`. */
export function scopeOf(urn: string): Scope {
  const stack = urn.split('::')[0]?.split(':').at(-1) ?? '';
  for (const environment of ['staging', 'production'] as const satisfies EnvironmentName[]) {
    const kind = stackKinds.find((candidate) => stackName(environment, candidate) === stack);
    if (kind !== undefined) return { environment, colour: colours.find((colour) => colour === kind) };
  }
  if (stack === pipelineStack) return { environment: 'account' };
  throw new Error(`${stack} is not a Greenlight stack`);
}

interface Seen {
  type: string;
  name: string;
  urn: string;
  props: Record<string, unknown>;
}

const resourceOf = ({ type, name, props }: Seen): Resource => ({ type, name, props });

function policy(rule: Rule): Policies[number] {
  const described = { name: rule.name, description: rule.description, enforcementLevel: 'mandatory' as const };
  if ('each' in rule)
    return {
      ...described,
      validateResource: (args, report) => {
        for (const found of rule.each(resourceOf(args), scopeOf(args.urn))) report(found);
      },
    };
  return {
    ...described,
    validateStack: ({ resources }, report) => {
      const [first] = resources;
      if (first === undefined) return;
      for (const found of rule.together(resources.map(resourceOf), scopeOf(first.urn))) report(found);
    },
  };
}

/** Serves the rules to the engine, which checks them before it changes anything (`--policy-pack infra/policies`). */
export const serve = (): PolicyPack => new PolicyPack('greenlight', { policies: rules.map(policy) });
