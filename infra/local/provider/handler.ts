import { z } from 'zod';
import { Layout } from '../lib/layout.ts';

/**
 * Implements a resource type. All methods are idempotent: after a crash, repeating the call completes what the first
 * one started. They reject with `OperationError`s, whose message the engine shows.
 */
export interface Handler<Inputs extends Place = Place, Computed extends object = object> {
  /** Schema of the inputs. Unknown keys are errors. */
  inputs: z.ZodObject & z.ZodType<Inputs>;
  /** Creates the resource, or adopts what an interrupted `create` left. Resolves to the computed values. */
  create(inputs: Inputs): Promise<Computed>;
  /** Compares the actual state with the recorded one. */
  read(state: Inputs & Computed): Promise<Found>;
  update(inputs: Inputs, state: Inputs & Computed): Promise<Computed>;
  /** Deletes everything that is left of the resource, which may be incomplete. */
  delete(state: Inputs & Computed): Promise<void>;
}

/** `absent`: it does not exist. `drift`: how it differs from the recorded state; an update repairs it. */
export type Found = 'as recorded' | 'absent' | { drift: string };

/** Inputs of every resource: the provider itself has no configuration. */
export const place = z.strictObject({
  environment: z.enum(['staging', 'production']),
  /** Absolute path of the environment's directory. */
  directory: z.string().startsWith('/'),
});
export type Place = z.infer<typeof place>;

export const layoutOf = ({ environment, directory }: Place): Layout => new Layout(environment, directory);
