import { randomBytes } from 'node:crypto';
import { execa } from 'execa';
import { databaseFields } from '../../application/database-url.ts';
import { removeAbandoned, serviceContainer } from '../../containers/containers.ts';
import { imagesOf } from '../../containers/record.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { endsWithParent } from '../../lib/lifetimes.ts';
import type { EnvironmentSpec } from '../../model.ts';
import type { Commands } from '../../platform/commands.ts';
import { createLocalSecrets } from '../lib/application-secrets.ts';
import { mountsOf } from '../lib/files.ts';
import type { Layout } from '../lib/layout.ts';
import { processEnvironment, sessionVariables } from '../lib/process-environment.ts';
import { colourAccess } from '../postgres/databases.ts';
import { jobLimits } from './container-job.ts';

/** One-off commands as further processes or containers of this machine, with the variables of a service. */
export function createLocalCommands(layout: Layout, spec: EnvironmentSpec): Commands {
  return {
    async prepare({ colour, artefact, service: name, role, command, input }) {
      const service = spec.services.find((one) => one.name === name);
      if (service === undefined)
        throw new OperationError(
          'running a command',
          `there is no service ${name}`,
          `use one of ${spec.services.map((one) => one.name).join(', ')}`,
        );
      const values = await createLocalSecrets(() => layout).values(layout.environment);
      const ports = layout.ports();
      const images = await imagesOf(artefact);
      const contained = images?.record.services[service.name] !== undefined;
      if (images !== undefined) await removeAbandoned(images.engine, layout.environment);
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
        contained,
      });
      const session = Object.entries(sessionVariables()).filter(
        (entry): entry is [string, string] => entry[1] !== undefined,
      );
      const directory = artefact.location;
      const place = { environment: layout.environment, mounts: mountsOf(layout, spec), owned: true };
      const of = { ...place, name: `run-${randomBytes(6).toString('hex')}`, env: variables, program: command, input };
      const container = serviceContainer(images, { ...service, limits: jobLimits }, of);
      if (container === undefined)
        return {
          argv: command,
          directory,
          variables: { ...Object.fromEntries(session), ...variables },
          end: () => Promise.resolve(),
        };
      return {
        argv: endsWithParent(container.argv, 'TERM'),
        directory,
        variables: { ...Object.fromEntries(session), ...container.env },
        async end() {
          const [program = '', ...args] = container.clear;
          await execa(program, args, { ...bareEnvironment(sessionVariables()), stdin: 'ignore', reject: false });
        },
      };
    },
  };
}
