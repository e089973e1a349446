import quick from '../quick.config.ts';

/** A release whose inactive colour has PostgreSQL 17, while the live one has an older version. */
const { staging, production } = { staging: {}, ...quick.environments };

export default {
  ...quick,
  environments: {
    staging: { ...staging, database: { version: 17 } },
    production: { ...production, database: { version: 17 } },
  },
};
