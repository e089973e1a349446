import { secrets } from '../../../infra/lib/redact.ts';
import { colours, type EnvironmentName } from '../../../infra/model.ts';
import type { Platform } from '../../../infra/platform/platform.ts';
import type { ReleaseDefinition } from '../../config/schema.ts';
import type { Engine, StackConfig } from '../../stacks/engine.ts';
import { readSecrets, sourcesOf } from './secret-sources.ts';

type Seen = { definition: ReleaseDefinition; platform: Platform; engine: Engine };

/** The environments whose secrets a release needs: one of production uses staging first. */
export const environmentsOf = (environment: EnvironmentName): EnvironmentName[] =>
  environment === 'production' ? ['staging', 'production'] : [environment];

/** Reads the secrets of the application and keeps them, before anything is changed. Running processes keep theirs. */
export async function keepSecrets(session: Seen, environments: readonly EnvironmentName[]): Promise<void> {
  const kept = session.platform.secrets;
  if (kept === undefined) return;
  const values = await readSecrets(session.definition, environments);
  for (const [environment, found] of values) {
    if (Object.keys({ ...found, ...(await kept.current(environment)) }).length === 0) continue;
    await kept.keep(environment, found);
  }
}

/** As `keepSecrets`, for a release that goes on: it reads only what was not kept when it began. */
export async function keepMissingSecrets(session: Seen, environments: readonly EnvironmentName[]): Promise<void> {
  const missing: EnvironmentName[] = [];
  for (const environment of environments) {
    const current = (await session.platform.secrets?.current(environment)) ?? {};
    const names = Object.keys(sourcesOf(session.definition, environment));
    if (names.some((name) => current[name] === undefined)) missing.push(environment);
  }
  if (missing.length > 0) await keepSecrets(session, missing);
}

/** The versions that a colour's processes run with, by name. Undefined: it has no processes. */
export async function versionsOn(
  engine: Engine,
  environment: EnvironmentName,
  colour: (typeof colours)[number],
): Promise<Record<string, string> | undefined> {
  if (!(await engine.exists(environment, colour))) return undefined;
  const config = await engine.config(environment, colour);
  return 'colour' in config && config.colour.artefact !== undefined ? { ...config.colour.secrets } : undefined;
}

/** Deletes the versions that no colour runs with any more. */
export async function pruneSecrets({ platform, engine }: Omit<Seen, 'definition'>, environment: EnvironmentName) {
  const used = await Promise.all(colours.map((colour) => versionsOn(engine, environment, colour)));
  await platform.secrets?.prune(
    environment,
    used.map((versions) => versions ?? {}),
  );
}

/** The configuration of a colour with the current secrets, but with those that it runs with where it names them. */
export async function withSecretVersions(
  { secrets: kept }: Pick<Platform, 'secrets'>,
  environment: EnvironmentName,
  config: StackConfig,
): Promise<StackConfig> {
  if (!('colour' in config) || config.colour.artefact === undefined) return config;
  const versions = { ...(await kept?.current(environment)), ...config.colour.secrets };
  return Object.keys(versions).length === 0 ? config : { ...config, colour: { ...config.colour, secrets: versions } };
}

/** Registers every kept value with the redactor. */
export async function maskKeptSecrets(
  platform: Pick<Platform, 'secrets'>,
  environment: EnvironmentName,
): Promise<void> {
  for (const value of (await platform.secrets?.everyValue(environment)) ?? []) secrets.register(value);
}
