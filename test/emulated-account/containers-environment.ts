import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { ContainerDefinition, ContainerOverride } from '@aws-sdk/client-ecs';
import { authoritiesFile } from '../../infra/aws/lib/names.ts';
import { containerPath } from './containers.ts';

export interface Surroundings {
  imageEnv: Record<string, string>;
  host: string;
  port: number;
  /** Whether `port` differs from the container's port. */
  otherPort: boolean;
  /** PEM file used instead of RDS's authorities. */
  authority: string;
  /** PEM file of the authority that signed the entry point's certificate. */
  entryAuthority?: string | undefined;
  /** The task's own directory, the only place where it may write. */
  temporary: string;
}

/**
 * A container's environment: the image's variables, overridden by the definition's, with addresses and paths of this
 * machine.
 */
export function containerEnvironment(
  definition: ContainerDefinition,
  override: ContainerOverride | undefined,
  secrets: Record<string, string>,
  surroundings: Surroundings,
): Record<string, string> {
  const pairs = (list: { name?: string | undefined; value?: string | undefined }[] = []) =>
    Object.fromEntries(list.map(({ name = '', value = '' }) => [name, value]));
  const wanted = {
    ...surroundings.imageEnv,
    ...pairs(definition.environment),
    ...secrets,
    ...pairs(override?.environment),
  };
  const env = Object.fromEntries(
    Object.entries(wanted).map(([name, value]) => [name, localPath(value, surroundings.authority)]),
  );
  return {
    ...env,
    PATH: containerPath,
    HOME: surroundings.temporary,
    TMPDIR: surroundings.temporary,
    HOST: surroundings.host,
    ...(env['PORT'] === undefined || surroundings.otherPort ? { PORT: String(surroundings.port) } : {}),
    ...(surroundings.entryAuthority === undefined ? {} : { NODE_EXTRA_CA_CERTS: surroundings.entryAuthority }),
  };
}

/** Replaces the path of RDS's authorities in a text, plain and URL-encoded. */
export const localPath = (text: string, authority: string): string =>
  text
    .replaceAll(authoritiesFile, authority)
    .replaceAll(encodeURIComponent(authoritiesFile), encodeURIComponent(authority));

/** Values of `secrets`. Rejects with ECS's message if one cannot be read. */
export async function secretValues(
  { secrets = [] }: ContainerDefinition,
  client: SecretsManagerClient,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { name = '', valueFrom = '' } of secrets) found[name] = await secretValue(valueFrom, client);
  return found;
}

const unable =
  'ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): ';

/** `arn:aws:secretsmanager:<region>:<account>:secret:<name>[:<key>:<stage>:<version>]`; the last three may be empty. */
async function secretValue(valueFrom: string, client: SecretsManagerClient): Promise<string> {
  const parts = valueFrom.split(':');
  const arn = parts.slice(0, 7).join(':');
  const [key = '', stage = '', version = ''] = parts.slice(7);
  const input = {
    SecretId: arn,
    ...(stage === '' ? {} : { VersionStage: stage }),
    ...(version === '' ? {} : { VersionId: version }),
  };
  const { SecretString = '' } = await client.send(new GetSecretValueCommand(input)).catch((error: Error) => {
    throw new Error(`${unable}failed to fetch secret ${arn} from secrets manager: ${error.name}: ${error.message}`);
  });
  if (key === '') return SecretString;
  const value = (JSON.parse(SecretString) as Record<string, unknown>)[key];
  if (value === undefined)
    throw new Error(`${unable}retrieved secret from Secrets Manager did not contain json key ${key}`);
  return typeof value === 'string' ? value : JSON.stringify(value);
}
