import { stackKinds, type EnvironmentName } from '../../../infra/model.ts';
import { parity } from '../../../infra/policies/parity.ts';
import type { Platform } from '../../../infra/platform/platform.ts';
import { row, rows, withClient } from '../../data/connect.ts';
import { classify, describeSuspect } from '../../data/masking/classify.ts';
import { findUnmasked } from '../../data/masking/unmasked.ts';
import type { Gate } from '../../journal/verdict.ts';
import {
  cloudPolicies,
  localPolicies,
  policiesGate,
  privacyPolicies,
  type PolicyFacts,
} from '../../gates/environment/policies.ts';
import type { ResourceFacts, StackResources } from '../../gates/environment/resource-policies.ts';
import type { ReleaseContext } from '../context/context.ts';
import { readLive } from '../context/live.ts';
import { situation } from '../context/situation.ts';

/** The gate of security and privacy policies on an environment that is live, and on all resources of both environments. */
export const policies = (context: ReleaseContext, environment: EnvironmentName): Gate =>
  policiesGate({
    facts: () => readFacts(context, environment),
    policies: [...(context.platform.declared === undefined ? localPolicies : cloudPolicies), ...privacyPolicies],
    resources: () => readResources(context),
  });

/** What the engine recorded. Production is not up yet on a first go-live. */
async function readResources({ engine, platform, spec }: ReleaseContext): Promise<ResourceFacts> {
  const stacks: StackResources[] = [];
  for (const environment of ['staging', 'production'] as const)
    for (const kind of stackKinds) {
      const recorded = await engine.resources(environment, kind);
      if (recorded.length === 0) continue;
      const resources = recorded.map(({ type, name, inputs }) => ({ type, name, props: inputs }));
      stacks.push({ environment, kind, resources });
    }
  if (platform.declared === undefined) return { expected: false, stacks, parity: undefined };
  return { expected: true, stacks, parity: await compareDeclared(platform.declared.bind(platform), spec) };
}

/**
 * Both environments as this release declares them: what is recorded of production is of the last release, and may differ on
 * purpose.
 */
async function compareDeclared(
  declared: NonNullable<Platform['declared']>,
  spec: ReleaseContext['spec'],
): Promise<string[]> {
  const input = (environment: EnvironmentName) => {
    // Another port is meant to be: the gate "Staging mirrors production" lists it.
    const { port: _listed, ...declaredAs } = spec(environment);
    return declared(environment, declaredAs);
  };
  return parity(await input('staging'), await input('production'));
}

async function readFacts(context: ReleaseContext, name: EnvironmentName): Promise<PolicyFacts> {
  const environment = await context.connect(name);
  const { live } = await situation(context, name);
  if (live === undefined) return {};
  const access = await environment.databases.of(live);
  const database = await withClient(access, 'admin', async (client) => {
    const connections = await rows<{ ssl: boolean; count: number }>(
      client,
      `SELECT s.ssl, count(*)::int AS count FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
       WHERE a.backend_type = 'client backend' GROUP BY s.ssl`,
    );
    const count = (ssl: boolean) => connections.find((found) => found.ssl === ssl)?.count ?? 0;
    const { value } = await row<{ value: string }>(client, `SELECT current_setting('password_encryption') AS value`);
    return { databaseConnections: { encrypted: count(true), plain: count(false) }, passwordEncryption: value };
  });
  return { ...(await environment.audit()), ...database, ...(await personalData(context, name)) };
}

/** Nothing where the rules for personal data outside production do not apply: nothing came from there. */
async function personalData(
  context: ReleaseContext,
  name: EnvironmentName,
): Promise<Pick<PolicyFacts, 'unmasked' | 'unclassified'>> {
  const { personal, harmless } = context.definition.data;
  const production = name === 'production' ? undefined : await readLive(context.engine, 'production');
  if (production === undefined) return {};
  const [outside, inside] = [await context.connect(name), await context.connect('production')];
  const { live } = await situation(context, name);
  if (live === undefined || (await inside.backups.list()).length === 0) return {};
  const [copy, original] = [await outside.databases.of(live), await inside.databases.of(production.colour)];
  const { suspects, columns, empty } = await classify(original, personal, harmless);
  return {
    unclassified: { suspects: suspects.map(describeSuspect), columns, empty },
    ...(personal.length > 0 && { unmasked: await findUnmasked(copy, original, personal) }),
  };
}
