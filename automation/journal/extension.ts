import type { Event } from './events.ts';
import { columnsOf } from './loss.ts';

/** What migrations add to a schema: the data in it is known to the new version alone, and a way back keeps it aside. */
export type Extension = Omit<Extract<Event, { type: 'schema.extended' }>, 'type'>;

/** As much of a table as is compared. */
interface Table {
  name: string;
  columns: readonly { name: string }[];
}

/** Compares a schema before and after. Pure. */
export function extensionOf(before: readonly Table[], after: readonly Table[]): Extension {
  const tables = after.filter(({ name }) => !before.some((old) => old.name === name)).map(({ name }) => name);
  const columns = before.flatMap((old) => {
    const now = after.find(({ name }) => name === old.name)?.columns ?? [];
    const added = now.filter(({ name }) => !old.columns.some((column) => column.name === name)).map(({ name }) => name);
    return added.length === 0 ? [] : [{ table: old.name, columns: added }];
  });
  return { tables, columns };
}

/** For whoever decides on the release, before there is anything to lose. */
export function describeExtension({ tables, columns }: Extension): string {
  if (tables.length + columns.length === 0)
    return 'a rollback has nothing to keep aside: the migrations add no table or column';
  const parts = [
    ...(tables.length === 0 ? [] : [`${tables.length === 1 ? 'table' : 'tables'} ${tables.join(', ')}`]),
    ...columns.map(({ table, columns: names }) => columnsOf(table, names)),
  ];
  return `a rollback would keep aside what is written to ${parts.join('; ')}, until the version is tried again`;
}
