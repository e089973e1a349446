import { sqlIdentifier, sqlLiteral } from './roles.ts';

/** Prefix of the comment that identifies a database. A dump of the contents does not include this comment; a physical copy does. */
const mark = 'greenlight: ';

/** Statement that makes a database state whose it is, such as `production-blue`; one line. */
export const identityStatement = (database: string, identity: string): string =>
  `COMMENT ON DATABASE ${sqlIdentifier(database)} IS ${sqlLiteral(mark + identity)}`;

/** The identity in a database's comment; undefined if the comment is another one. */
export const identityIn = (comment: string | null): string | undefined =>
  comment?.startsWith(mark) === true ? comment.slice(mark.length) : undefined;
