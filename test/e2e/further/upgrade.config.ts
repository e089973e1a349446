import older from './older.config.ts';

/** A release whose inactive colour has PostgreSQL 17, while the live one has an older version. */
export default {
  ...older,
  environments: {
    ...older.environments,
    staging: { ...older.environments.staging, database: { version: 17 } },
    production: { ...older.environments.production, database: { version: 17 } },
  },
};
