import type { Colour } from '../../../infra/model.ts';

/** The steps of a cutover, in order, a sentence each. */
export function describeCutover({
  from,
  to,
  direction,
}: {
  from: Colour;
  to: Colour;
  direction: 'forward' | 'rollback';
}): string[] {
  return [
    `hold writes, drain and fence ${from}`,
    `wait until ${to} has replayed everything, set sequences`,
    direction === 'forward'
      ? `flip reads and writes to ${to}, let writes go, replicate back to ${from}`
      : `flip reads and writes to ${to}, let writes go`,
    'compare the contents of both databases at that instant',
  ];
}
