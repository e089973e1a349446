import { colours, type Colour, type EnvironmentName } from '../../model.ts';

/**
 * Names of alarms: `<application>/<environment>/<colour>/<part>/<kind>`. A notification of CloudWatch says little else,
 * so the name has to identify the subject.
 */

/**
 * The part that stands for the colour's database; other parts are services. Each kind is either of databases or of
 * services, so a service may be named `database` too.
 */
export const databasePart = 'database';

export const serviceAlarms = ['errors', 'latency', 'tasks'] as const;
export const databaseAlarms = ['processor', 'lag', 'storage'] as const;
export type AlarmKind = (typeof serviceAlarms)[number] | (typeof databaseAlarms)[number];

export interface AlarmSubject {
  colour: Colour;
  /** A service, or `databasePart`. */
  part: string;
  kind: AlarmKind;
}

export interface AlarmPlace {
  application: string;
  environment: EnvironmentName;
}

/** Prefix of the names of all alarms of an environment. */
export const alarmPrefix = ({ application, environment }: AlarmPlace): string => `${application}/${environment}/`;

export const alarmName = (place: AlarmPlace, { colour, part, kind }: AlarmSubject): string =>
  `${alarmPrefix(place)}${colour}/${part}/${kind}`;

/** Undefined if it is no alarm of this environment. */
export function parseAlarmName(place: AlarmPlace, name: string): AlarmSubject | undefined {
  if (!name.startsWith(alarmPrefix(place))) return undefined;
  const [inColour, part, ofKind, ...more] = name.slice(alarmPrefix(place).length).split('/');
  const colour = colours.find((candidate) => candidate === inColour);
  const kinds = part === databasePart ? [...databaseAlarms, ...serviceAlarms] : serviceAlarms;
  const kind = kinds.find((candidate) => candidate === ofKind);
  if (colour === undefined || part === undefined || kind === undefined || more.length > 0) return undefined;
  return { colour, part, kind };
}
