import type { z } from 'zod';
import { defaultOf, elementOf, isOptional, metaOf, shapeOf, unwrap } from './reflect.ts';

/**
 * The lines of a release definition with every key of the schema and its description. Descriptions, examples and
 * defaults come from the schema. Required keys are settings with an example. Keys with a default are comments that can
 * be uncommented as they are.
 */
export function annotate(schema: z.ZodType): string[] {
  return members(schema, '  ');
}

/** A line of the file; `active: false` becomes a comment. */
interface Line {
  text: string;
  active: boolean;
}

function members(schema: z.ZodType, indent: string): string[] {
  return Object.entries(shapeOf(schema) ?? {}).flatMap(([key, value]) => {
    const lines = member(key, value, indent);
    return [...describe(value, indent), ...lines.map(({ text, active }) => (active ? text : commentOut(text)))];
  });
}

/** `//` is inserted after the indentation, so that removing it and a space gives the setting. */
const commentOut = (text: string): string => text.replace(/^(\s*)/, '$1// ');

function describe(schema: z.ZodType, indent: string): string[] {
  const description = metaOf(schema)['description'];
  return typeof description === 'string' ? [`${indent}/** ${description} */`] : [];
}

function member(key: string, schema: z.ZodType, indent: string): Line[] {
  const { examples, active: wanted } = metaOf(schema);
  const example = Array.isArray(examples) ? (examples[0] as unknown) : undefined;
  const fallback = defaultOf(schema);
  const required = fallback === undefined && !isOptional(schema);
  const active = required || wanted === true;
  if (example !== undefined) return literal(key, example, indent, active);
  const list = elementOf(schema);
  if (list !== undefined && shapeOf(list) !== undefined) return listOfGroups(key, list, indent, required);
  if (shapeOf(unwrap(schema)) !== undefined) return group(key, schema, indent, active || isPrefault(schema));
  return literal(key, fallback, indent, false);
}

/**
 * A group that may be left out because its keys have defaults. It is written as a setting, with its keys as comments.
 */
const isPrefault = (schema: z.ZodType): boolean => !isOptional(schema);

function literal(key: string, value: unknown, indent: string, active: boolean): Line[] {
  return [{ text: `${indent}${key}: ${toSource(value)},`, active }];
}

function group(key: string, schema: z.ZodType, indent: string, active: boolean): Line[] {
  const inside = members(schema, `${indent}  `).map((text) => ({ text, active }));
  return [{ text: `${indent}${key}: {`, active }, ...inside, { text: `${indent}},`, active }];
}

function listOfGroups(key: string, element: z.ZodType, indent: string, active: boolean): Line[] {
  const inside = members(element, `${indent}    `).map((text) => ({ text, active }));
  return [
    { text: `${indent}${key}: [`, active },
    { text: `${indent}  {`, active },
    ...inside,
    { text: `${indent}  },`, active },
    { text: `${indent}],`, active },
  ];
}

/** A value as Prettier formats it: single quotes unless the text contains one. */
function toSource(value: unknown): string {
  if (typeof value === 'string') return value.includes("'") ? JSON.stringify(value) : `'${value}'`;
  if (Array.isArray(value)) return `[${value.map(toSource).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, inside]) => `${key}: ${toSource(inside)}`);
    return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
  }
  return String(value);
}
