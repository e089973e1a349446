import { isDeepStrictEqual } from 'node:util';
import type { Provider } from '@pulumi/pulumi/provider/provider.js';
import type { Found, Handler, Place } from './handler.ts';

/** Sentinel of the engine for a value that is unknown until the resource that computes it exists. */
const unknownValue = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';

/** Key and value with which the engine marks a secret. It stores marked values encrypted. */
const signatureKey = '4dabf18193072939515e22adb298388d';
const secretSignature = '1b47061264138c4ac30d75fd1eb44270';

type Properties = Record<string, unknown>;
/** A resource in the engine's state: inputs, computed values, and the drift that the last refresh found. */
type State = Place & { drift?: string };

/**
 * A change of one of these replaces the resource. The old one is deleted first, because both would use the same names
 * and ports.
 */
const identifying = ['environment', 'directory', 'name', 'colour'];

/** A Pulumi provider from handlers by type token. */
export function createProvider(version: string, handlers: ReadonlyMap<string, Handler>): Provider {
  const handlerOf = (urn: string): Handler => {
    const token = urn.split('::')[2]?.split('$').at(-1) ?? '';
    const handler = handlers.get(token);
    if (handler === undefined) throw new Error(`Greenlight's provider has no resource type ${token}`);
    return handler;
  };

  return {
    version,
    schema: JSON.stringify({ name: 'greenlight', version }),

    check(urn, _olds, news: Properties) {
      const result = handlerOf(urn).inputs.safeParse(open(news));
      if (result.success || mentions(news, unknownValue)) return Promise.resolve({ inputs: news });
      const failures = result.error.issues.map((issue) => ({ property: issue.path.join('.'), reason: issue.message }));
      return Promise.resolve({ inputs: news, failures });
    },

    /** Compares all inputs, removed ones included. Recorded drift counts as a change. */
    diff(_id, urn, recorded: Properties, wanted: Properties) {
      const [olds, news] = [open(recorded), open(wanted)];
      const names = Object.keys(handlerOf(urn).inputs.shape);
      const changed = names.filter((name) => !isDeepStrictEqual(news[name], olds[name]));
      return Promise.resolve({
        changes: changed.length > 0 || olds['drift'] !== undefined,
        replaces: changed.filter((name) => identifying.includes(name)),
        deleteBeforeReplace: true,
      });
    },

    async create(urn, inputs: Place) {
      const computed = await handlerOf(urn).create(open(inputs));
      return { id: nameOf(urn), outs: { ...inputs, ...computed } };
    },

    async read(id, urn, props: State) {
      const { drift: _old, ...recorded } = props;
      const found: Found = await handlerOf(urn).read(open(recorded));
      if (found === 'absent') return { id: '', props: {} };
      return { id, props: found === 'as recorded' ? recorded : { ...recorded, ...found } };
    },

    async update(_id, urn, olds: State, news: Place) {
      const { drift: _old, ...recorded } = olds;
      const computed = await handlerOf(urn).update(open(news), open(recorded));
      return { outs: { ...news, ...computed } };
    },

    async delete(_id, urn, props: State) {
      await handlerOf(urn).delete(open(props));
    },
  };
}

/** Unwraps secrets for a handler. The adapter returns the marked values to the engine. */
function open<T extends object>(properties: T): T {
  const entries = Object.entries(properties).map(([key, value]: [string, unknown]) => [
    key,
    isSecret(value) ? value.value : value,
  ]);
  return Object.fromEntries(entries) as T;
}

const isSecret = (value: unknown): value is { value: unknown } =>
  typeof value === 'object' && value !== null && (value as Properties)[signatureKey] === secretSignature;

const nameOf = (urn: string): string => urn.split('::').at(-1) as string;

function mentions(value: unknown, wanted: string): boolean {
  if (value === wanted) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some((inner) => mentions(inner, wanted));
}
