import { z } from 'zod';
import { releaseDefinition } from './schema.ts';

/** The part of JSON Schema that zod writes for a release definition. */
interface JsonSchema {
  description?: string;
  default?: unknown;
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  allOf?: JsonSchema[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema | boolean;
  prefixItems?: JsonSchema[];
}

/**
 * The type declarations of the package, for `greenlight.config.ts` in an editor and for `tsc`: what a definition may say, with the
 * description of every key. They need no other package. Made from the schema when the package is made.
 */
export function renderDeclarations(schema: z.ZodType = releaseDefinition): string {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', reused: 'inline' }) as JsonSchema;
  return [
    '/** A release definition, as `greenlight.config.ts` exports it. */',
    `export interface ReleaseDefinitionInput ${objectType(json, '')}`,
    '',
    '/** Gives the definition its type. It is checked when a command reads it. */',
    'export declare function defineRelease(definition: ReleaseDefinitionInput): ReleaseDefinitionInput;',
    '',
  ].join('\n');
}

function typeOf(schema: JsonSchema, indent: string): string {
  const forms = schema.anyOf ?? schema.oneOf;
  if (forms !== undefined) return union(forms.map((form) => typeOf(form, indent)));
  if (schema.allOf !== undefined) return schema.allOf.map((part) => typeOf(part, indent)).join(' & ');
  if (schema.enum !== undefined) return union(schema.enum.map((value) => JSON.stringify(value)));
  if ('const' in schema) return JSON.stringify(schema.const);
  switch (schema.type) {
    case 'object':
      return objectType(schema, indent);
    case 'array':
      return arrayType(schema, indent);
    case 'integer':
      return 'number';
    case 'string':
    case 'number':
    case 'boolean':
    case 'null':
      return schema.type;
    default:
      return 'unknown';
  }
}

const union = (types: string[]): string => [...new Set(types)].join(' | ');

function arrayType({ items, prefixItems }: JsonSchema, indent: string): string {
  const rest = typeof items === 'object' ? `Array<${typeOf(items, indent)}>` : undefined;
  if (prefixItems === undefined) return rest ?? 'unknown[]';
  const first = prefixItems.map((item) => typeOf(item, indent));
  return `[${[...first, ...(rest === undefined ? [] : [`...${rest}`])].join(', ')}]`;
}

function objectType({ properties, required = [], additionalProperties }: JsonSchema, indent: string): string {
  const inside = `${indent}  `;
  const members = Object.entries(properties ?? {}).flatMap(([key, value]) => [
    ...comment(value, inside),
    `${inside}${/^[A-Za-z_$][\w$]*$/.test(key) ? key : JSON.stringify(key)}${required.includes(key) ? '' : '?'}: ${typeOf(value, inside)};`,
  ]);
  if (typeof additionalProperties === 'object')
    members.push(`${inside}[name: string]: ${typeOf(additionalProperties, inside)};`);
  return members.length === 0 ? 'Record<string, never>' : ['{', ...members, `${indent}}`].join('\n');
}

/** An object's default is said by its keys. */
function comment({ description, default: fallback }: JsonSchema, indent: string): string[] {
  const isPlain = fallback !== undefined && (typeof fallback !== 'object' || Array.isArray(fallback));
  const text = [description, isPlain ? `Default: ${JSON.stringify(fallback)}` : undefined].filter(Boolean).join('. ');
  return text === '' ? [] : [`${indent}/** ${text.replaceAll('*/', '*\\/')} */`];
}
