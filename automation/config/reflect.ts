import { z } from 'zod';

/** Reads the schema, for messages and for the annotated file of `npm run init`. */

type Shape = Record<string, z.ZodType>;

/** The schema inside one wrapper (optional, default or prefault); undefined if it is none. */
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

/** The metadata of `.meta()` and `.describe()`, of all wrappers together. */
export function metaOf(schema: z.ZodType): Record<string, unknown> {
  const next = inner(schema);
  return { ...(next === undefined ? {} : metaOf(next)), ...schema.meta() };
}

/** Whether the key may be left out without a default. */
export function isOptional(schema: z.ZodType): boolean {
  if (schema instanceof z.ZodOptional) return true;
  const next = inner(schema);
  return next !== undefined && isOptional(next);
}

/** The value of `.default()`; undefined if there is none. */
export function defaultOf(schema: z.ZodType): unknown {
  if (schema instanceof z.ZodDefault) return schema.def.defaultValue;
  const next = inner(schema);
  return next === undefined ? undefined : defaultOf(next);
}

/** The keys of an object schema; of a union those of its first form. */
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

/** The keys that are allowed at `path`, in all forms of a union. */
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

/** The schema at `path`; undefined if there is none. */
export function schemaAt(root: z.ZodType, path: readonly PropertyKey[]): z.ZodType | undefined {
  let schema: z.ZodType | undefined = root;
  for (const part of path) schema = schema === undefined ? undefined : step(unwrap(schema), part)[0];
  return schema;
}
