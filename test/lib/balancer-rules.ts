import type { Destination, PlannedRule } from '../../infra/aws/lib/routing-plan.ts';

export interface Request {
  method?: string;
  path: string;
  headers?: Record<string, string>;
}

/** `*` is any text and `?` any character, as in the guide of Elastic Load Balancing. */
const matches = (pattern: string, text: string, flags: string): boolean => {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, flags).test(text);
};

/** Where an Application Load Balancer would send a request; undefined: to the listener's default action. */
export function decide(rules: PlannedRule[], { method = 'GET', path, headers = {} }: Request): Destination | undefined {
  const holds = (condition: PlannedRule['conditions'][number]): boolean => {
    switch (condition.kind) {
      case 'path':
        return condition.values.some((value) => matches(value, path, ''));
      case 'method':
        return condition.values.includes(method);
      case 'header':
        // Values of headers are compared without regard to case.
        return condition.values.some((value) => matches(value as string, headers[condition.name] ?? '', 'i'));
    }
  };
  return rules.toSorted((a, b) => a.priority - b.priority).find(({ conditions }) => conditions.every(holds))?.to;
}
