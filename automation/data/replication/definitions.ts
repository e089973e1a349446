import { splitColumn, type ObjectDifference } from '../objects/compare.ts';

/** Reads the definitions that `objects/` writes, and makes statements of them. Pure. */

const value = /E?'(?:[^']|'')*'/g;

/** The statements that give an enum of one definition the values of another; undefined where that has not all the values, in order. */
export function newValues(name: string, before = '', after = ''): string[] | undefined {
  const of = (definition: string): string[] | undefined =>
    /\nENUM (.*)$/s.exec(definition)?.[1]?.match(value) ?? undefined;
  const [had, has] = [of(before), of(after)];
  if (had === undefined || has === undefined || has.length <= had.length) return undefined;
  if (before.split('\n')[0] !== after.split('\n')[0]) return undefined;
  if (has.filter((label) => had.includes(label)).join() !== had.join()) return undefined;
  return has.flatMap((label, at) => {
    if (had.includes(label)) return [];
    const next = has.slice(at).find((other) => had.includes(other));
    return [`ALTER TYPE ${name} ADD VALUE ${label}${next === undefined ? '' : ` BEFORE ${next}`}`];
  });
}

export interface PartitionOf {
  owner: string;
  parent: string;
  /** `FOR VALUES FROM (1) TO (2)`, or `DEFAULT`. */
  bound: string;
  /** `PARTITION BY RANGE (at)`, or empty. */
  divided: string;
  /** `WITH (fillfactor=70)`, or empty. */
  options: string;
  full: boolean;
}

/** What the definition of a table says of the table that it is a partition of; undefined where it is none. */
export function partitionOf(definition: string): PartitionOf | undefined {
  const [owner = '', ...lines] = definition.split('\n');
  const [, parent] = /^PARTITION OF (.*)$/m.exec(definition) ?? [];
  const bound = lines.find((line) => /^(FOR VALUES |DEFAULT$)/.test(line));
  const options = lines.flatMap((line) => {
    const [, toast, list = ''] = /^(TOAST )?WITH (.*)$/.exec(line) ?? [];
    return list === '' ? [] : list.split(', ').map((option) => `${toast === undefined ? '' : 'toast.'}${option}`);
  });
  if (parent === undefined || bound === undefined || parent.endsWith(' (detaching)')) return undefined;
  return {
    owner: owner.slice('owner '.length),
    parent,
    bound,
    divided: lines.find((line) => line.startsWith('PARTITION BY ')) ?? '',
    options: options.length === 0 ? '' : `WITH (${options.join(', ')})`,
    full: lines.includes('REPLICA IDENTITY f'),
  };
}

/** The statements that make such a partition; whoever owns its table may run them. Indexes and rules of that come along. */
export function partitionStatements(name: string, definition: string): string[] {
  const found = partitionOf(definition);
  if (found === undefined) return [];
  const { parent, bound, divided, options, full } = found;
  return [
    [`CREATE TABLE ${name} PARTITION OF ${parent}`, bound, divided, options].filter((part) => part !== '').join(' '),
    ...(full ? [`ALTER TABLE ${name} REPLICA IDENTITY FULL`] : []),
  ];
}

export const attachStatement = (name: string, { parent, bound }: PartitionOf): string =>
  `ALTER TABLE ${parent} ATTACH PARTITION ${name} ${bound}`;

/** Whether an object is a table or of one: a column, a constraint, an index, a right. */
export function belongs({ kind, name, left, right }: ObjectDifference, table: string): boolean {
  if (kind === 'index') return / ON (?:ONLY )?(.*?) USING /.exec(left ?? right ?? '')?.[1] === table;
  return name === table || splitColumn(name).table === table || `${name} `.includes(` ${table} `);
}
