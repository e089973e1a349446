import type { ReportModel } from './model/model.ts';

/**
 * `report.json`. Stable for programs within one `schemaVersion`: verdict, reason, release, environment, from, to,
 * requests, writes, hold, gates, stages, rollback, overhead. The other keys are data of the HTML report and may change.
 */
export function renderJson(model: ReportModel): string {
  const {
    schemaVersion,
    verdict,
    reason,
    release,
    environment,
    from,
    to,
    requests,
    writes,
    hold,
    gates,
    stages,
    rollback,
    overhead,
    ...rest
  } = model;
  const stable = {
    schemaVersion,
    verdict,
    reason,
    release,
    environment,
    from,
    to,
    requests,
    writes,
    hold,
    gates,
    stages,
    rollback,
    overhead,
  };
  return `${JSON.stringify({ ...stable, ...rest }, null, 2)}\n`;
}
