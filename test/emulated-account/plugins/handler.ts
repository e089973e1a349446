import type { Unwrap } from '@pulumi/pulumi';
import type { Properties } from './serve.ts';
import type { AccountClients } from './aws/clients.ts';

export interface Context {
  region: string;
  accountId: string;
  clients: AccountClients;
  /** Name of the resource: the last part of its URN. */
  logicalName: string;
}

/** How the plug-in names a resource without a declared name. */
export interface AutoName {
  property: string;
  maxLength?: number;
  prefix?: string;
}

/**
 * Handler of a resource type. Its inputs are the resolved arguments of its class in @pulumi/aws, so that their names
 * match the real plug-in's.
 */
export interface Handler<I = Properties> {
  autoName?: AutoName;
  /** Defaults that the real plug-in sets and programs read. */
  defaults?: Partial<I>;
  /** Inputs whose change replaces the resource; `all`: every input. */
  replaces: (keyof I)[] | 'all';
  create(inputs: I, context: Context): Promise<{ id: string; outputs?: Properties; unready?: string }>;
  /**
   * The real state, as far as it is checked, in the form of inputs. Undefined: the resource does not exist. Absent
   * handler: no check.
   */
  read?(id: string, state: I & Properties, context: Context): Promise<Properties | undefined>;
  /** Resolves to the changed outputs. */
  update?(change: Change<I>, context: Context): Promise<Properties | undefined | void>;
  delete?(id: string, state: I & Properties, context: Context): Promise<void>;
}

export interface Change<I> {
  id: string;
  inputs: I;
  /** The recorded state. */
  state: I & Properties;
  changed: (...names: (keyof I)[]) => boolean;
}

export type Table = Record<string, Handler>;

/** Converts a typed handler to an entry of the table. */
export const resource = <Args>(handler: Handler<Unwrap<Args>>): Handler => handler as unknown as Handler;

/** Handler of a type that exists only in the engine's state. */
export const record = (autoName?: AutoName): Handler => ({
  replaces: [],
  ...(autoName && { autoName }),
  create: (inputs, { logicalName }) => Promise.resolve({ id: (inputs['name'] as string | undefined) ?? logicalName }),
  update: () => Promise.resolve(),
});
