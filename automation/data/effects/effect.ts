import type { Finding } from '../migrations/findings.ts';

/** What a migration was seen to do. `unread`: the parser refuses what was made of it, so nothing is known of it. */
export interface Effect extends Omit<Finding, 'rule'> {
  rule: Finding['rule'] | 'unread';
  /** The table, or what belongs to none: `public.accounts`. */
  object: string;
  /** Nobody judges the statement of a file for it. So where a file names the object, that was on purpose. */
  unjudged?: boolean;
}
