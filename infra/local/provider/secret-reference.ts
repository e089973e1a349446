import { databaseUrl } from '../../application/database-url.ts';
import { applicationDatabase } from '../../application/roles.ts';
import type { Colour } from '../../model.ts';
import type { Layout, Ports, SecretName } from '../lib/layout.ts';

/**
 * A program refers to a secret by its name; the provider puts the value in where it starts the process. So neither
 * program nor state ever holds one. The reference survives URL encoding, as secrets are in database URLs.
 */
export const secretReference = (name: SecretName): string => `secret~${name}~`;

/** URL of a colour's database for its services, with a reference in place of the password. */
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

/** Replaces the references in a text. Throws an OperationError where a secret is missing. */
export function resolveSecrets(layout: Layout, text: string): string {
  return text.replace(/secret~([a-z-]+)~/g, (_, name: SecretName) => layout.secret(name));
}
