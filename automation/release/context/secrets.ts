import type { DatabaseAccess } from '../../../infra/platform/databases.ts';
import type { Environment } from '../../../infra/platform/environment.ts';
import { secrets } from '../../../infra/lib/redact.ts';

/**
 * The environment, with every secret that it hands out registered with the redactor. From then on the secret is masked in journal,
 * logs, evidence and terminal, whoever prints it.
 */
export function withSecretsMasked(environment: Environment): Environment {
  const { databases, backups, router } = environment;
  for (const value of Object.values(router.entry.routeHeaders('blue'))) secrets.register(value);
  return {
    ...environment,
    databases: {
      ...databases,
      of: async (colour) => known(await databases.of(colour)),
      scratch: async (purpose) => {
        const scratch = await databases.scratch(purpose);
        known(scratch.access);
        return scratch;
      },
    },
    backups: {
      ...backups,
      restore: async (backup) => {
        const scratch = await backups.restore(backup);
        known(scratch.access);
        return scratch;
      },
    },
  };
}

function known(access: DatabaseAccess): DatabaseAccess {
  const { admin, owner, app, replication = admin } = access;
  for (const { password } of [admin, owner, app, replication]) secrets.register(password);
  return access;
}
