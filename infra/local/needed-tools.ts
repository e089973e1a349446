import { findTool, type ToolName } from '../tools.ts';

/** Programs without which a local release cannot end well: looked for before anything starts. */
const neededTools: ToolName[] = ['pulumi', 'k6', 'haproxy', 'prometheus', 'alertmanager', 'supervisord', 'postgres', 'pg_dump', 'pg_verifybackup']; // prettier-ignore

/** One sentence where any of them is missing. */
export function missingTools(): string[] {
  const missing = neededTools.filter((name) => findTool(name) === undefined);
  return missing.length === 0 ? [] : [`missing tools: ${missing.join(', ')}; run: npm run doctor`];
}
