import { z } from 'zod';

/** Looks into the schema: for messages (which keys are known here?) and for the annotated file of `npm run init`. */

type Shape = Record<string, z.ZodType>;

/** The schema inside of optional, default and prefault, one step at a time. */
function inner(schema: z.ZodType): z.ZodType | undefined {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return schema.unwrap() as z.ZodType;
  }
  return undefined;
}

export function unwrap(schema: z.ZodType): z.ZodType {
  const next = inner(schema);
  return next === undefined ? schema : unwrap(next);
}

/** What `.meta()` and `.describe()` say, wherever in the chain of wrappers it was said. */
export function metaOf(schema: z.ZodType): Record<string, unknown> {
  const next = inner(schema);
  return { ...(next === undefined ? {} : metaOf(next)), ...schema.meta() };
}

/** Whether the key may be left out and nothing stands for it then. */
export function isOptional(schema: z.ZodType): boolean {
  if (schema instanceof z.ZodOptional) return true;
  const next = inner(schema);
  return next !== undefined && isOptional(next);
}

/** The default, where there is one that is written in the schema. */
export function defaultOf(schema: z.ZodType): unknown {
  if (schema instanceof z.ZodDefault) return schema.def.defaultValue;
  const next = inner(schema);
  return next === undefined ? undefined : defaultOf(next);
}

/** Keys of an object; of a union, the first form's. */
export function shapeOf(schema: z.ZodType): Shape | undefined {
  const plain = unwrap(schema);
  if (plain instanceof z.ZodObject) return plain.shape;
  if (plain instanceof z.ZodUnion) return shapeOf(plain.options[0] as z.ZodType);
  return undefined;
}

export function elementOf(schema: z.ZodType): z.ZodType | undefined {
  const plain = unwrap(schema);
  return plain instanceof z.ZodArray ? (plain.element as z.ZodType) : undefined;
}

/** Keys known at `path`, of all forms of a union. */
export function knownKeys(root: z.ZodType, path: readonly PropertyKey[]): string[] {
  let candidates = [root];
  for (const part of path) {
    candidates = candidates.flatMap((schema) => {
      const plain = unwrap(schema);
      if (plain instanceof z.ZodUnion) return plain.options.flatMap((o) => step(o as z.ZodType, part));
      return step(plain, part);
    });
  }
  return candidates.flatMap((schema) => {
    const plain = unwrap(schema);
    const forms = plain instanceof z.ZodUnion ? plain.options.map((o) => o as z.ZodType) : [plain];
    return forms.flatMap((form) => Object.keys(shapeOf(form) ?? {}));
  });
}

function step(schema: z.ZodType, part: PropertyKey): z.ZodType[] {
  const next = typeof part === 'number' ? elementOf(schema) : shapeOf(schema)?.[String(part)];
  return next === undefined ? [] : [next];
}

/** The schema at `path`, or undefined where the path leaves what is known. */
export function schemaAt(root: z.ZodType, path: readonly PropertyKey[]): z.ZodType | undefined {
  let schema: z.ZodType | undefined = root;
  for (const part of path) schema = schema === undefined ? undefined : step(unwrap(schema), part)[0];
  return schema;
}
