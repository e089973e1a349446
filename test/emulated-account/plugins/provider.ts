import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { codeOf, isMissing } from '../../../infra/aws/runtime/client/errors.ts';
import { messageOf } from '../../../infra/lib/errors.ts';
import { Unready, type Properties, type ResourceProvider } from './serve.ts';
import { withFound } from './compare.ts';
import type { AutoName, Context, Handler, Table } from './handler.ts';

/** The engine's placeholder for a value that is not known until another resource is created. */
const unknown = '04da6b54-80e4-46f7-96ec-b56ff0331ba9';

/** Random characters at the end of a generated name. */
const randomLength = 7;

const typeOf = (urn: string): string => urn.split('::')[2]?.split('$').at(-1) ?? '';
const logicalNameOf = (urn: string): string => urn.split('::').slice(3).join('::');

/** Access to the account. `configure` is called first. */
export interface Surroundings {
  configure(args: Properties): Promise<void>;
  context(logicalName: string, region: string | undefined): Context;
}

/** Creates a provider from a table of resource types. */
export function createProvider(
  { name, version }: { name: string; version: string },
  table: Table,
  surroundings: Surroundings,
): ResourceProvider {
  const handlerOf = (urn: string): Handler => {
    const handler = table[typeOf(urn)];
    if (handler !== undefined) return handler;
    throw new Error(
      `the stand-in of ${name} has no handler for ${typeOf(urn)}: add one to the table in test/emulated-account/plugins/${name}`,
    );
  };

  const contextOf = (urn: string, inputs: Properties): Context =>
    surroundings.context(logicalNameOf(urn), inputs['region'] as string | undefined);

  return {
    name,
    version,
    configure: (args) => surroundings.configure(args),

    check(urn, olds, news, seed) {
      const { autoName, defaults } = handlerOf(urn);
      const inputs: Properties = { ...defaults, ...news };
      try {
        // The handler completes a `namePrefix`; a generated name would conflict with it, as in the real plug-in.
        if (autoName !== undefined && inputs[autoName.property] === undefined && inputs['namePrefix'] === undefined)
          inputs[autoName.property] = olds[autoName.property] ?? nameFor(urn, autoName, seed);
      } catch (error) {
        return { inputs, failures: [messageOf(error)] };
      }
      return { inputs, failures: [] };
    },

    diff(urn, state, oldInputs, news, ignored) {
      const handler = handlerOf(urn);
      const changed = changedInputs(state, oldInputs, news, ignored);
      const inPlace = handler.update !== undefined && handler.replaces !== 'all';
      const replaces = inPlace ? changed.filter((key) => (handler.replaces as string[]).includes(key)) : changed;
      return { changed, replaces, deleteBeforeReplace: replaces.length > 0 && keepsName(urn, handler, state, news) };
    },

    create: (urn, inputs) =>
      telling(`creating ${typeOf(urn)}`, async () => {
        const context = contextOf(urn, inputs);
        const { id, outputs, unready } = await handlerOf(urn).create(inputs, context);
        const state = { region: context.region, ...inputs, ...outputs };
        if (unready !== undefined) throw new Unready(id, state, unready);
        return { id, state };
      }),

    read: (id, urn, state) =>
      telling(`reading ${typeOf(urn)} ${id}`, async () => {
        const handler = handlerOf(urn);
        if (handler.read === undefined) return state;
        const found = await handler.read(id, state, contextOf(urn, state)).catch((error: unknown) => {
          if (isMissing(error)) return undefined;
          throw error;
        });
        return found && withFound(state, found);
      }),

    update: (id, urn, state, oldInputs, inputs, ignored) =>
      telling(`updating ${typeOf(urn)} ${id}`, async () => {
        const handler = handlerOf(urn);
        const names = changedInputs(state, oldInputs, inputs, ignored);
        const changed = (...wanted: string[]) => wanted.some((key) => names.includes(key));
        const next = { ...without(state, Object.keys(oldInputs)), ...inputs };
        try {
          const outputs = await handler.update?.({ id, inputs, state, changed }, contextOf(urn, inputs));
          return { ...next, ...outputs };
        } catch (error) {
          throw error instanceof Unready ? new Unready(id, { ...next, ...error.state }, error.message) : error;
        }
      }),

    delete: (id, urn, state) =>
      telling(`deleting ${typeOf(urn)} ${id}`, async () => {
        await handlerOf(urn)
          .delete?.(id, state, contextOf(urn, state))
          .catch((error: unknown) => {
            // A resource that does not exist counts as deleted.
            if (!isMissing(error)) throw error;
          });
      }),
  };
}

function changedInputs(state: Properties, oldInputs: Properties, news: Properties, ignored: string[]): string[] {
  const skipped = new Set(ignored.map((path) => path.split(/[.[]/)[0]));
  const keys = new Set([...Object.keys(news), ...Object.keys(oldInputs)]);
  return [...keys].filter((key) => !skipped.has(key) && !isDeepStrictEqual(state[key], news[key]));
}

const without = (state: Properties, keys: string[]): Properties =>
  Object.fromEntries(Object.entries(state).filter(([key]) => !keys.includes(key)));

/** Two resources cannot share a name. A generated name is generated again for the replacement. */
function keepsName(urn: string, { autoName }: Handler, state: Properties, news: Properties): boolean {
  if (autoName === undefined) return false;
  const name = news[autoName.property];
  return state[autoName.property] === name && !String(name).startsWith(beginOf(urn, autoName));
}

const beginOf = (urn: string, { prefix = '' }: AutoName): string => `${prefix}${logicalNameOf(urn)}-`;

/** As in the real plug-in, which refuses a name that becomes too long with the random suffix. */
function nameFor(urn: string, autoName: AutoName, seed: Uint8Array): string {
  const { maxLength } = autoName;
  const begin = beginOf(urn, autoName);
  if (begin.includes(unknown)) return unknown;
  if (maxLength !== undefined && begin.length + randomLength > maxLength)
    throw new Error(
      `could not make instance of '${typeOf(urn)}': name '${begin}' plus ${randomLength} random chars is longer than maximum length ${maxLength}`,
    );
  return begin + createHash('sha256').update(urn).update(seed).digest('hex').slice(0, randomLength);
}

/** Adds what was being done and AWS's error code to an error's message. */
export async function telling<T>(doing: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof Unready) throw error;
    const code = codeOf(error);
    throw new Error(`${doing}: ${code === '' ? '' : `${code}: `}${messageOf(error)}`, { cause: error });
  }
}
