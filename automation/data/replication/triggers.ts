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

interface EventTrigger {
  name: string;
  state: string;
}

const eventTriggersSql = `SELECT evtname AS name, evtenabled AS state FROM pg_event_trigger ORDER BY 1`;

/**
 * Switches the event triggers of the side that follows off. What they write about a migration, or about Greenlight's own objects,
 * would take keys that the live side gives to its own rows. Their own state can be changed without one of them firing.
 */
export async function quietEventTriggers(follower: pg.Client): Promise<void> {
  for (const { name, state } of await rows<EventTrigger>(follower, eventTriggersSql))
    if (state !== 'D') await follower.query(`ALTER EVENT TRIGGER ${sqlIdentifier(name)} DISABLE`);
}

const states: Record<string, string> = { O: 'ENABLE', A: 'ENABLE ALWAYS', R: 'ENABLE REPLICA' };

/** Gives the event triggers of the side that was live to the one that is live, and switches them off on the first. Idempotent. */
export async function moveEventTriggers(old: pg.Client, live: pg.Client): Promise<void> {
  const there = new Set((await rows<EventTrigger>(live, eventTriggersSql)).map(({ name }) => name));
  for (const { name, state } of await rows<EventTrigger>(old, eventTriggersSql)) {
    const enable = states[state];
    if (enable === undefined || !there.has(name)) continue;
    await live.query(`ALTER EVENT TRIGGER ${sqlIdentifier(name)} ${enable}`);
    await old.query(`ALTER EVENT TRIGGER ${sqlIdentifier(name)} DISABLE`);
  }
}
