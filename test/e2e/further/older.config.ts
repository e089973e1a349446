import quick from '../quick.config.ts';

/** The release before an upgrade: PostgreSQL has the version that the machine uses. */
export default { ...quick, security: { ...quick.security, maxSeconds: 240 } };
