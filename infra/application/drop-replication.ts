/**
 * Takes from a restored copy what would connect to the live databases and disturb them. Dropping a subscription may call its
 * publisher, to drop the slots of tables in sync there; so it is first pointed nowhere. Who is no superuser has to give a
 * password with an address, whatever it is. Each statement is one line.
 */
export const dropReplication = [
  `DO $do$ DECLARE s name; BEGIN
   FOR s IN SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database() LOOP
     EXECUTE format('ALTER SUBSCRIPTION %I CONNECTION ''host=127.0.0.1 port=1 connect_timeout=2 password=none''', s);
     EXECUTE format('ALTER SUBSCRIPTION %I DISABLE', s);
     EXECUTE format('ALTER SUBSCRIPTION %I SET (slot_name = NONE)', s);
     EXECUTE format('DROP SUBSCRIPTION %I', s);
   END LOOP; END $do$`,
  `DO $do$ DECLARE p name; BEGIN
   FOR p IN SELECT pubname FROM pg_publication LOOP EXECUTE format('DROP PUBLICATION %I', p); END LOOP; END $do$`,
].map((statement) => statement.replace(/\s*\n\s*/g, ' '));

/** Drops all replication origins: what a copy knows of the progress of its source's subscriptions. As superuser. */
export const dropOrigins = 'SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin';
