import type { AlterTableCmd, ColumnDef } from 'libpg-query';
import {
  breaksOldVersion,
  inContract,
  loosens,
  loosensBoth,
  longLock,
  mayBreakOldVersion,
  nextRelease,
  sideBySide,
  type Finding,
} from './findings.ts';
import type { KnownTable } from './known-schema.ts';
import { columnFrom, constraintsOf, serial } from './definitions.ts';
import { changeOf } from '../type-change.ts';
import { functionsIn, typeOf } from './tree.ts';

/** Judges what ALTER TABLE does to columns of a table that the live side has. */

/** Built-in functions whose value differs from row to row: PostgreSQL has to write every row. */
const volatile = /^(random\w*|gen_random_\w+|uuid_generate_\w+|uuidv[47]|clock_timestamp|timeofday|nextval)$/;

export function judgeAddedColumn(table: KnownTable, definition: ColumnDef): Finding[] {
  const name = definition.colname ?? '';
  if (table.columns.has(name)) return [];
  const column = columnFrom(definition, true);
  const constraints = constraintsOf(definition);
  const has = (kind: string): boolean => constraints.some(({ contype }) => contype === kind);
  const found: Finding[] = [];
  if (column.notNull && !column.hasDefault)
    found.push(
      breaksOldVersion(
        `${table.name}.${name} must not be null and has no default: a row of the old version has no value for it`,
        'give it a DEFAULT, or add it without NOT NULL and set that in a contract file',
      ),
    );
  if ((has('CONSTR_UNIQUE') || has('CONSTR_PRIMARY')) && has('CONSTR_DEFAULT') && !isVolatile(definition))
    found.push(
      breaksOldVersion(
        `${table.name}.${name} is unique and has a default: two rows of the old version have the same value`,
        'leave the DEFAULT out',
      ),
    );
  const filled = has('CONSTR_IDENTITY') || has('CONSTR_GENERATED') || serial.test(column.type?.name ?? '');
  if (filled || isVolatile(definition))
    found.push(
      longLock(
        `the table ${table.name} is written anew, as each row gets a value of its own for ${name}`,
        'add the column without default, fill it in a file of its own, then set the default',
      ),
    );
  if (has('CONSTR_UNIQUE') || has('CONSTR_PRIMARY') || (has('CONSTR_FOREIGN') && column.hasDefault))
    found.push(
      longLock(
        `all rows of ${table.name} are read for a constraint on ${name}`,
        'add the column first, and the constraint in a file of its own',
      ),
    );
  return found;
}

const isVolatile = (definition: ColumnDef): boolean =>
  constraintsOf(definition).some(
    ({ contype, raw_expr: value }) =>
      contype === 'CONSTR_DEFAULT' && functionsIn(value).some((called) => volatile.test(called)),
  );

export function judgeDroppedColumn(table: KnownTable, name: string, ifExists: boolean): Finding[] {
  const column = table.columns.get(name);
  if (column?.isNew === true) return [];
  const why = `${table.name}.${name} is gone, and the old version uses it: its rows cannot be replicated any more`;
  const instead = `stop using it in this version, and ${inContract}`;
  // No file of a table that files made has this column.
  const absent = ifExists && column === undefined && table.made !== undefined;
  return [absent ? mayBreakOldVersion(why, instead) : breaksOldVersion(why, instead)];
}

export function judgeType(table: KnownTable, { name = '', def }: AlterTableCmd): Finding[] {
  const column = table.columns.get(name);
  if (column?.isNew === true || def === undefined || !('ColumnDef' in def) || def.ColumnDef.typeName === undefined)
    return [];
  const to = typeOf(def.ColumnDef.typeName);
  const { kind, rewrites } = changeOf(column?.type, to);
  const where = `${table.name}.${name}`;
  const shown = to.name + (to.modifiers.length > 0 ? `(${to.modifiers.join(',')})` : '');
  const rewritten = rewrites
    ? [longLock(`the table ${table.name} may be written anew for the new type of ${name}`, sideBySide)]
    : [];
  switch (kind) {
    case 'same':
      return [];
    case 'wider':
      return [
        rewrites
          ? loosens(
              `${where} takes more values as ${shown} than before: after the cutover they do not fit the old column`,
              nextRelease,
            )
          : loosensBoth(`${where} takes more values as ${shown} than before`),
        ...rewritten,
      ];
    case 'unknown':
      return [
        loosens(
          `${where} becomes ${shown}, and no file says what it was: values that the old column does not take cannot flow back`,
          nextRelease,
        ),
        ...rewritten,
      ];
    case 'alike':
      return [
        mayBreakOldVersion(`${where} becomes ${shown}, which gives the same values in another form`, sideBySide),
        ...rewritten,
      ];
    case 'unlike':
      return [
        breaksOldVersion(
          `${where} becomes ${shown}, which does not take every value that the old version writes`,
          sideBySide,
        ),
        ...rewritten,
      ];
  }
}

export function judgeSetNotNull(table: KnownTable, name: string): Finding[] {
  const column = table.columns.get(name);
  if (column?.notNull === true) return [];
  const found: Finding[] = [];
  if (column?.isNew !== true)
    found.push(
      breaksOldVersion(
        `${table.name}.${name} must not be null any more, and the old version may write null: that stops the replication`,
        `let every version write it first, then ${inContract}`,
      ),
    );
  else if (!column.hasDefault)
    found.push(
      breaksOldVersion(
        `${table.name}.${name} is new and must not be null: a row of the old version has no value for it`,
        'give it a DEFAULT before, or set NOT NULL in a contract file',
      ),
    );
  const proven = [...table.constraints.values()].some(({ notNullOf, validated }) => notNullOf === name && validated);
  if (!proven)
    found.push(
      longLock(
        `all rows of ${table.name} are read to see that ${name} is nowhere null`,
        `add CHECK (${name} IS NOT NULL) NOT VALID, validate it in a later file, then SET NOT NULL reads nothing`,
      ),
    );
  return found;
}

export function judgeDropNotNull(table: KnownTable, name: string): Finding[] {
  const column = table.columns.get(name);
  if (column?.isNew === true || (column !== undefined && !column.notNull)) return [];
  return [loosensBoth(`${table.name}.${name} may be null`)];
}

export function judgeDefault(table: KnownTable, { name = '', def }: AlterTableCmd): Finding[] {
  const column = table.columns.get(name);
  if (def !== undefined || column?.notNull !== true) return [];
  const why = `${table.name}.${name} has no default any more and must not be null`;
  if (column.isNew)
    return [breaksOldVersion(`${why}: a row of the old version has no value for it`, 'drop it in a contract file')];
  return [mayBreakOldVersion(`${why}: an INSERT of the old version that leaves it out fails`, inContract)];
}
