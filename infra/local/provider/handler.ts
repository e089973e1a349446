import { z } from 'zod';
import { Layout } from '../lib/layout.ts';

/**
 * One type of resource. Everything it does may be repeated: after a crash in the middle, the same call settles what the
 * first one left. Errors are `OperationError`s: the engine shows their message.
 */
export interface Handler<Inputs extends Place = Place, Computed extends object = object> {
  /** What a program has to say about it. Unknown keys are errors. */
  inputs: z.ZodObject & z.ZodType<Inputs>;
  /** Makes it, or adopts what an interrupted `create` left. Resolves to what was found out while making it. */
  create(inputs: Inputs): Promise<Computed>;
  /** Looks at what is really there. */
  read(state: Inputs & Computed): Promise<Found>;
  update(inputs: Inputs, state: Inputs & Computed): Promise<Computed>;
  /** Leaves nothing behind, also where half of it is gone already. */
  delete(state: Inputs & Computed): Promise<void>;
}

/** `absent`: it is gone. `drift`: it is there, but not as recorded, and why; an update repairs that. */
export type Found = 'as recorded' | 'absent' | { drift: string };

/** Every resource says to which environment it belongs: the provider itself knows nothing. */
export const place = z.strictObject({
  environment: z.enum(['staging', 'production']),
  /** Absolute path of the environment's directory. */
  directory: z.string().startsWith('/'),
});
export type Place = z.infer<typeof place>;

export const layoutOf = ({ environment, directory }: Place): Layout => new Layout(environment, directory);
