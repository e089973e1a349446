/**
 * Statements, one line each, that drop all subscriptions and publications of a restored copy, so that it does not
 * connect to the live databases. DROP SUBSCRIPTION may connect to the publisher to drop table synchronisation slots; so
 * each subscription first gets an address where nothing listens. The password has no meaning: PostgreSQL requires one
 * in the connection string from a role that is not a superuser.
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

/** As `dropReplication`, for a copy that goes live: publications of others, such as a change-data consumer's, go along with the data. */
export const dropOwnReplication = dropReplication.map((statement) =>
  statement.replace(
    'FROM pg_publication LOOP',
    String.raw`FROM pg_publication WHERE pubname LIKE 'greenlight\_to\_%' LOOP`,
  ),
);

/** Drops all replication origins: what a copy knows of the progress of its source's subscriptions. As superuser. */
export const dropOrigins = 'SELECT pg_replication_origin_drop(roname) FROM pg_replication_origin';
