import { databaseFields, type DatabaseFields } from '../../application/database-url.ts';
import { applicationDatabase } from '../../application/roles.ts';
import { secrets } from '../../lib/redact.ts';
import type { Colour } from '../../model.ts';
import type { Layout, Ports, SecretName } from '../lib/layout.ts';

/**
 * Placeholder for a secret, so that neither Pulumi program nor state contains the value. The provider replaces it when it starts the
 * process. It has no characters that URL encoding changes, because database URLs contain secrets.
 */
export const secretReference = (name: SecretName): string => `secret~${name}~`;

/** The same for one version of a secret of the application. The script that starts the process reads it from its file. */
export const applicationReference = (name: string, version: string): string => `appsecret~${name}.${version}~`;

/** A colour's database for its services, with a reference instead of the password. */
export function databaseReference(layout: Layout, ports: Pick<Ports, 'database'>, colour: Colour): DatabaseFields {
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
  return databaseFields(access, 'app');
}

/**
 * Replaces the references in a text, but those to secrets of the application. The values are masked in what this program says from
 * then on. Throws an OperationError if a secret is missing.
 */
export function resolveSecrets(layout: Layout, text: string): string {
  return text.replace(/(?<!app)secret~([a-z-]+)~/g, (_, name: SecretName) => {
    const value = layout.secret(name);
    secrets.register(value);
    return value;
  });
}

/** Files of the application's secrets that texts refer to, by reference. */
export function secretFiles(layout: Layout, texts: string[]): Record<string, string> {
  const found = texts.flatMap((text) => [...text.matchAll(/appsecret~([a-z0-9.-]+)~/g)]);
  return Object.fromEntries(found.map(([reference, name = '']) => [reference, layout.applicationSecretFile(name)]));
}
