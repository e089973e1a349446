import type { Unwrap } from '@pulumi/pulumi';
import type { Properties } from './serve.ts';
import type { AccountClients } from './aws/clients.ts';

export interface Context {
  region: string;
  accountId: string;
  clients: AccountClients;
  /** Last part of the resource's URN. */
  logicalName: string;
}

/** How the plug-in names what has no name. */
export interface AutoName {
  property: string;
  maxLength?: number;
  prefix?: string;
}

/**
 * A type of resources. Its inputs are the resolved arguments of its class in @pulumi/aws, so that names cannot differ
 * from those of the real plug-in.
 */
export interface Handler<I = Properties> {
  autoName?: AutoName;
  /** What the real plug-in fills in where the program says nothing, and programs read. */
  defaults?: Partial<I>;
  /** Inputs that mean another resource when they change; `all`: each does. */
  replaces: (keyof I)[] | 'all';
  create(inputs: I, context: Context): Promise<{ id: string; outputs?: Properties; unready?: string }>;
  /** What is really there, as far as it is looked at, in the inputs' words; undefined: it is gone. Absent: nobody looks. */
  read?(id: string, state: I & Properties, context: Context): Promise<Properties | undefined>;
  /** Resolves to the outputs that changed. */
  update?(change: Change<I>, context: Context): Promise<Properties | undefined | void>;
  delete?(id: string, state: I & Properties, context: Context): Promise<void>;
}

export interface Change<I> {
  id: string;
  inputs: I;
  /** What was recorded. */
  state: I & Properties;
  changed: (...names: (keyof I)[]) => boolean;
}

export type Table = Record<string, Handler>;

/** Takes a handler of one type into the table of all. */
export const resource = <Args>(handler: Handler<Unwrap<Args>>): Handler => handler as unknown as Handler;

/** Nothing is made of it; the engine alone knows it. */
export const record = (autoName?: AutoName): Handler => ({
  replaces: [],
  ...(autoName && { autoName }),
  create: (inputs, { logicalName }) => Promise.resolve({ id: (inputs['name'] as string | undefined) ?? logicalName }),
  update: () => Promise.resolve(),
});
