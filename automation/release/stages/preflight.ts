import { findTool, type ToolName } from '../../../infra/tools.ts';
import { stackKinds, stackName } from '../../../infra/model.ts';
import type { ReleaseContext } from '../context.ts';
import { StageStopped, type Stage } from '../stage.ts';
import { describeWindow, minutesOpen } from '../window.ts';

/** Programs without which a local release cannot end well: looked for before anything starts. */
const neededTools: ToolName[] = ['pulumi', 'k6', 'haproxy', 'prometheus', 'alertmanager', 'supervisord', 'postgres', 'pg_dump', 'pg_verifybackup']; // prettier-ignore
const integrationTimeoutMs = 5_000;

/** What can be known to be wrong before anything is changed; all of it is said at once. */
export const preflight: Stage = {
  id: 'preflight',
  title: 'Preflight',

  plan: ({ definition }) => ({
    steps: [
      'check tools and configuration',
      definition.window === undefined
        ? 'no release window configured: any time'
        : `check the window ${describeWindow(definition.window)}`,
      'compare what is live with what is recorded',
      'ask the integrations for a sign of life',
    ],
    workMs: 4_000,
    observationMs: 0,
  }),

  async apply(context) {
    const problems = [...missingTools(context), ...closedWindow(context), ...(await deadIntegrations(context))];
    if (problems.length > 0) throw new StageStopped('no-go', problems.join('\n'));
    await settleDrift(context);
  },

  verify: () => Promise.resolve(undefined),
  undo: () => Promise.resolve(undefined),
};

function missingTools({ platform }: ReleaseContext): string[] {
  if (platform.name !== 'local') return [];
  const missing = neededTools.filter((name) => findTool(name) === undefined);
  return missing.length === 0 ? [] : [`missing tools: ${missing.join(', ')}; run: npm run doctor`];
}

function closedWindow({ definition, environment }: ReleaseContext): string[] {
  const { window } = definition;
  if (window === undefined || environment !== 'production' || minutesOpen(window, new Date()) > 0) return [];
  return [
    `the release window is closed (${describeWindow(window)}); wait, or change "window" in the release definition`,
  ];
}

/** Stand-ins come up with the foundation; only real ones can be asked now. */
async function deadIntegrations({ definition, waiting }: ReleaseContext): Promise<string[]> {
  const real = definition.application.integrations.filter((integration) => integration.url !== undefined);
  const answers = await Promise.all(
    real.map(async ({ name, url, health }) => {
      waiting(`integration ${name}`);
      const target = new URL(health, url);
      try {
        const { status } = await fetch(target, { signal: AbortSignal.timeout(integrationTimeoutMs) });
        return status < 500 ? [] : [`integration ${name}: ${target.origin}${target.pathname} answers ${status}`];
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        return [`integration ${name}: ${target.origin} does not answer (${why})`];
      }
    }),
  );
  return answers.flat();
}

/**
 * Compares what is live with what the engine recorded. Drift is shown and then reconciled by applying what is
 * recorded: a release must start from a state that both agree on.
 */
async function settleDrift(context: ReleaseContext): Promise<void> {
  const { engine, environment } = context;
  for (const kind of stackKinds) {
    if (!(await engine.exists(environment, kind))) continue;
    const stack = stackName(environment, kind);
    const drift = await context.act(`refresh-${stack}`, `compare ${stack} with what is live`, () =>
      engine.refresh({ environment, kind, signal: context.signal }),
    );
    if (drift.length === 0) continue;
    context.note(
      `drift in ${stack}: ${drift.map(({ resource, what }) => `${resource} ${what}`).join('; ')}`,
      'warning',
    );
    await context.up(environment, await engine.config(environment, kind));
  }
}
