import type pg from 'pg';
import { sqlIdentifier } from '../../../infra/application/roles.ts';
import { ownSchemas } from '../catalog.ts';
import { rows } from '../connect.ts';

interface Trigger {
  schema: string;
  table: string;
  name: string;
}

const triggersSql = (enabled: string): string => `
  SELECT n.nspname AS schema, c.relname AS "table", t.tgname AS name
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled IN (${enabled}) AND ${ownSchemas} ORDER BY 1, 2, 3`;

/**
 * Stops triggers on the subscriber from firing for replicated rows (ENABLE ALWAYS) if the publisher has them too. They had
 * their effect when the row was written, and it is replicated: firing again would repeat it or collide with it. Triggers
 * that only the subscriber has, from an expand migration, go on filling in what replicated rows lack. For rows that the
 * application writes nothing changes.
 */
export async function quietTriggers(publisher: pg.Client, subscriber: pg.Client): Promise<void> {
  const [there, here] = [
    await rows<Trigger>(publisher, triggersSql(`'A', 'O'`)),
    await rows<Trigger>(subscriber, triggersSql(`'A'`)),
  ];
  const same = (a: Trigger) => (b: Trigger) => a.schema === b.schema && a.table === b.table && a.name === b.name;
  const doubled = here.filter((trigger) => there.some(same(trigger)));
  for (const { schema, table, name } of doubled) {
    const target = `${sqlIdentifier(schema)}.${sqlIdentifier(table)}`;
    await subscriber.query(`ALTER TABLE ${target} ENABLE TRIGGER ${sqlIdentifier(name)}`);
  }
}
