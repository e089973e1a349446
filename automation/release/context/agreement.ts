import { colours, type Colour, type EnvironmentName } from '../../../infra/model.ts';
import type { Found, Platform } from '../../../infra/platform/platform.ts';
import { locationOf, UntrustedState } from '../../stacks/state.ts';
import { greenlight } from '../../../infra/lib/command.ts';

/** What the engine recorded of an environment. */
export interface Record {
  /** Whether there is a foundation. */
  foundation: boolean;
  live: Colour | undefined;
  /** Where it was recorded, if that is elsewhere. */
  elsewhere?: string | undefined;
  /** Colours that have a stack; `version`: of what runs there, undefined where it has its database alone. */
  colours: Partial<{ [colour in Colour]: { version: string | undefined } }>;
}

/**
 * Where the state and the platform disagree, a sentence each. A service that does not run is no disagreement: it is started
 * again on its data. A database that the state does not know, or that is missing, is one.
 */
export function disagreements(record: Record, found: Found): string[] {
  const { live } = record;
  const differences: string[] = [];
  if (record.elsewhere !== undefined)
    differences.push(`the state belongs to the environment in ${record.elsewhere}: the project was moved or copied`);
  if (!record.foundation && (live !== undefined || Object.keys(record.colours).length > 0))
    differences.push('colours are recorded, and the foundation that they stand on is not');
  if (found.live !== undefined && found.live !== live)
    differences.push(
      live === undefined
        ? `${found.live} is live, and the state knows nothing of it`
        : `${found.live} is live, not ${live}`,
    );
  for (const colour of found.databases)
    if (record.colours[colour] === undefined)
      differences.push(`there is a database of ${colour} that the state does not know`);
  if (live !== undefined && !found.databases.includes(live))
    differences.push(`${live} is live, and its database is gone`);
  if (live !== undefined && record.colours[live]?.version === undefined)
    differences.push(`${live} is live, and no version is recorded on it`);
  for (const colour of colours) {
    const recorded = record.colours[colour];
    const version = found.versions[colour];
    if (recorded?.version !== undefined && version !== undefined && version !== recorded.version)
      differences.push(`${colour} runs ${version}, not ${recorded.version}`);
    if (live === undefined && found.live === undefined && recorded?.version !== undefined)
      differences.push(`${recorded.version} is recorded on ${colour}, and nobody as live`);
  }
  return differences;
}

interface Disagreement {
  environment: EnvironmentName;
  differences: string[];
  record: Record;
  found: Found;
  platform: Platform;
}

/** The error that lists both sides. */
export function sayBoth({ environment, differences, record, found, platform }: Disagreement): UntrustedState {
  const stacks = locationOf(platform.engine, '.pulumi/stacks');
  return new UntrustedState(
    `finding out what is live on ${environment}`,
    [
      `the engine's state and what is there disagree: ${differences.join('; ')}`,
      `the state (${stacks}) says: ${describe(record)}`,
      describeFound(found),
    ].join('\n'),
    [
      'nothing was changed. Put the state back that belongs to what runs: "The state of a stack is damaged" in docs/runbook.md',
      ...(platform.wipesAll
        ? [`or, to give ${environment} up with its databases: ${greenlight('destroy', '--environment', environment)}`]
        : []),
    ].join('\n'),
  );
}

export const describeFound = ({ where, facts }: Found): string =>
  `${where} says: ${facts.length === 0 ? 'nothing is there' : facts.join('; ')}`;

function describe({ live, colours: recorded }: Record): string {
  const facts = colours.flatMap((colour) => {
    const of = recorded[colour];
    if (of === undefined) return [];
    return [`${colour} has ${of.version === undefined ? 'a database alone' : `version ${of.version}`}`];
  });
  if (live === undefined && facts.length === 0) return 'nothing is recorded';
  return [live === undefined ? 'nobody is live' : `${live} is live`, ...facts].join('; ');
}
