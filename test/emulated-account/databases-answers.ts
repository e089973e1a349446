/** Changes moto's XML answers about databases. Pure functions. */

/** Real facts of an instance that moto does not know. */
export interface InstanceFacts {
  status: string;
  port: number;
  resourceId: string;
  /** Whether RDS manages the master user's password. */
  managed: boolean;
}

/** Replaces each element `<name>` by the result of `change`. */
export const eachElement = (xml: string, name: string, change: (element: string) => string): string =>
  xml.replace(new RegExp(`<${name}>.*?</${name}>`, 'gs'), (element) => change(element));

/** Text of the first `<name>` in `xml`. */
export const textOf = (xml: string, name: string): string | undefined =>
  new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1];

export const elementsOf = (xml: string, name: string): string[] =>
  [...xml.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, 'gs'))].map(([, content]) => content ?? '');

/** Sets the content of the first `<name>`, or appends the element if there is none. */
function withElement(element: string, name: string, content: string): string {
  const whole = `<${name}>${content}</${name}>`;
  const old = new RegExp(`<${name}>.*?</${name}>|<${name}/>`, 's');
  if (old.test(element)) return element.replace(old, () => whole);
  return element.replace(/<\/\w+>$/, (end) => `${whole}${end}`);
}

const without = (element: string, name: string): string =>
  element.replace(new RegExp(`<${name}>.*?</${name}>|<${name}/>`, 's'), '');

export function instanceAnswer(element: string, facts: InstanceFacts): string {
  const endpoint = `<Address>127.0.0.1</Address><Port>${facts.port}</Port>`;
  let result = withElement(element, 'DBInstanceStatus', facts.status);
  result = withElement(result, 'Endpoint', endpoint);
  result = withElement(result, 'DbiResourceId', facts.resourceId);
  if (facts.managed) return result;
  return without(result, 'MasterUserSecret');
}

export function snapshotAnswer(element: string, status: string): string {
  const progress = status === 'available' ? '100' : '0';
  return withElement(withElement(element, 'Status', status), 'PercentProgress', progress);
}
