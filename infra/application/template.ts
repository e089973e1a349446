/**
 * Templates of environment variables: `${database.host}` is replaced by what Greenlight knows, `$${` is a literal `${`. Any
 * other dollar sign is itself.
 */

/** What a template of a service may name, beside `secret.<name>`. */
export const serviceNames = [
  'database.url',
  'database.host',
  'database.port',
  'database.name',
  'database.user',
  'database.password',
  'database.caFile',
  'host',
  'port',
  'publicUrl',
  'version',
  'colour',
  'environment',
] as const;

/** The same of a worker or schedule, which listens nowhere. */
export const workerNames = serviceNames.filter((name) => name !== 'host' && name !== 'port');

/** What a template of a job may name, beside `secret.<name>`: a job listens nowhere, and belongs to no colour. */
export const jobNames = serviceNames.filter(
  (name) => name.startsWith('database.') || name === 'version' || name === 'environment',
);

const expression = /\$\$\{|\$\{([^}]*)(\}?)/g;

/** The names in a template. One that is not closed is undefined. */
export const namesIn = (template: string): (string | undefined)[] =>
  [...template.matchAll(expression)].flatMap(([found, name, end]) =>
    found === '$${' ? [] : [end === '}' ? name : undefined],
  );

export const usesDatabase = (template: string): boolean =>
  namesIn(template).some((name) => name?.startsWith('database.'));

/** The name of the application's secret that `secret.<name>` means. Undefined: it means none. */
export const secretNamed = (name: string | undefined): string | undefined =>
  name?.startsWith('secret.') ? name.slice('secret.'.length) : undefined;

/** Whether the value of a template is a secret: it contains one, or a password. */
export const isSecret = (template: string): boolean =>
  namesIn(template).some(
    (name) => secretNamed(name) !== undefined || name === 'database.password' || name === 'database.url',
  );

/** Fills a template. Throws an Error if `valueOf` knows no value: the validator of the definition has refused that before. */
export const fill = (template: string, valueOf: (name: string) => string | undefined): string =>
  template.replace(expression, (found, name: string | undefined) => {
    if (found === '$${') return '${';
    const value = valueOf(name ?? '');
    if (value === undefined) throw new Error(`an environment variable names ${found}, which is not known here`);
    return value;
  });
