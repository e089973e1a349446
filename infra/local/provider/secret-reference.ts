import { databaseUrl } from '../../application/database-url.ts';
import { applicationDatabase } from '../../application/roles.ts';
import type { Colour } from '../../model.ts';
import type { Layout, Ports, SecretName } from '../lib/layout.ts';

/**
 * Placeholder for a secret. The provider replaces it by the value when it starts the process, so that neither Pulumi
 * program nor state contains the value. It has no characters that URL encoding changes, because database URLs contain
 * secrets.
 */
export const secretReference = (name: SecretName): string => `secret~${name}~`;

/** URL of a colour's database for its services, with a reference instead of the password. */
export function databaseReference(layout: Layout, ports: Pick<Ports, 'database'>, colour: Colour): string {
  const login = (role: 'admin' | 'owner' | 'app') => ({ user: role, password: secretReference(`${colour}-${role}`) });
  const access = {
    host: '127.0.0.1',
    port: ports.database[colour],
    database: applicationDatabase,
    caFile: layout.caFile(),
    admin: login('admin'),
    owner: login('owner'),
    app: login('app'),
  };
  return databaseUrl(access, 'app');
}

/** Replaces the references in a text. Throws an OperationError if a secret is missing. */
export function resolveSecrets(layout: Layout, text: string): string {
  return text.replace(/secret~([a-z-]+)~/g, (_, name: SecretName) => layout.secret(name));
}
