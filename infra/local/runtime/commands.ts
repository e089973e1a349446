import { databaseFields } from '../../application/database-url.ts';
import { OperationError } from '../../lib/errors.ts';
import type { EnvironmentSpec } from '../../model.ts';
import type { Commands } from '../../platform/commands.ts';
import { createLocalSecrets } from '../lib/application-secrets.ts';
import type { Layout } from '../lib/layout.ts';
import { processEnvironment, sessionVariables } from '../lib/process-environment.ts';
import { colourAccess } from '../postgres/databases.ts';

/** One-off commands as further processes of this machine, with the variables of a service. */
export function createLocalCommands(layout: Layout, spec: EnvironmentSpec): Commands {
  return {
    async prepare({ colour, artefact, service: name, role }) {
      const service = spec.services.find((one) => one.name === name);
      if (service === undefined)
        throw new OperationError(
          'running a command',
          `there is no service ${name}`,
          `use one of ${spec.services.map((one) => one.name).join(', ')}`,
        );
      const values = await createLocalSecrets(() => layout).values(layout.environment);
      const ports = layout.ports();
      const variables = processEnvironment(layout, {
        spec,
        ports,
        service,
        // It may listen on any free port; nobody asks it.
        port: 0,
        publicUrl: `https://localhost:${ports.https}`,
        database: databaseFields(colourAccess(layout, colour), role),
        secretOf: (secret) => values[secret],
        version: artefact.version,
        colour,
      });
      const session = Object.entries(sessionVariables()).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      );
      return { directory: artefact.location, variables: { ...Object.fromEntries(session), ...variables } };
    },
  };
}
