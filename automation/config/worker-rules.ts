import { Cron } from 'croner';
import { isReserved, reservedMessage } from './variable-rules.ts';
import { listOf, report, reportTwice, type Context, type Unsure } from './rules.ts';

/** Rules about workers, schedules and files. */

/** Refuses what is no cron expression, and one whose time never comes. */
export function cronComes(expression: string, ctx: Context): void {
  const hint = 'write five fields such as "*/5 * * * *": minute, hour, day of the month, month, day of the week';
  if (expression.trim().split(/\s+/).length !== 5)
    return report(ctx, [], `"${expression}" has not five fields; ${hint}`);
  try {
    if (new Cron(expression, { mode: '5-part', paused: true }).nextRun() === null)
      report(ctx, [], `"${expression}" never comes; ${hint}`);
  } catch (error) {
    report(ctx, [], `"${expression}" is no cron expression (${(error as Error).message}); ${hint}`);
  }
}

type Named = Unsure<{ name: string }>;
type Programs = Unsure<{ services: Named[]; workers: Named[]; schedules: Named[] }>;

/** Programs, records and logs are called by these names. */
export function programNamesDiffer(application: Programs, ctx: Context): void {
  const owner = new Map<string, string>();
  for (const kind of ['services', 'workers', 'schedules'] as const)
    listOf(application?.[kind]).forEach((item, index) => {
      if (item?.name === undefined) return;
      const before = owner.get(item.name);
      if (before === undefined) owner.set(item.name, `${kind}[${index}]`);
      // Two services of one name are reported by their own rule.
      else if (kind !== 'services')
        report(ctx, [kind, index, 'name'], `"${item.name}" is already the name of ${before}; rename one of them`);
    });
}

type FilesInput = Unsure<{ name: string; env: string }>;

export function filesAreDistinct(all: readonly FilesInput[], ctx: Context): void {
  reportTwice(ctx, all, (item) => item?.name, ['name'], 'the name');
  reportTwice(ctx, all, (item) => item?.env, ['env'], 'the variable');
  all.forEach((item, index) => {
    if (isReserved(item?.env ?? '')) report(ctx, [index, 'env'], reservedMessage);
  });
}
