import type { Layout, SecretName } from '../lib/layout.ts';

/**
 * A program refers to a secret by its name; the provider puts the value in where it starts the process. So neither
 * program nor state ever holds one. The reference survives URL encoding, as secrets are in database URLs.
 */
export const secretReference = (name: SecretName): string => `secret~${name}~`;

/** Replaces the references in a text. Throws an OperationError where a secret is missing. */
export function resolveSecrets(layout: Layout, text: string): string {
  return text.replace(/secret~([a-z-]+)~/g, (_, name: SecretName) => layout.secret(name));
}
