import type { Colour, EnvironmentName, Split } from '../../infra/model.ts';
import { describeLoss, type Loss } from '../journal/loss.ts';
import { describeGap, type WayBackGap } from '../journal/way-back.ts';
import { noWayBackArmed, twoWays } from '../journal/window.ts';
import { formatBytes, formatDuration, formatTime } from '../journal/format.ts';
import { columns, type Cell } from './columns.ts';
import { oneLine, type Paint } from './text.ts';
import { greenlight } from '../../infra/lib/command.ts';

/** What `npm run status` shows, as read from the running environments. */
export interface StatusModel {
  environments: EnvironmentStatus[];
}

export interface EnvironmentStatus {
  name: EnvironmentName;
  /** Base URL; undefined: the environment is not up. */
  entry: string | undefined;
  /** Undefined before the first go-live. */
  split: Split | undefined;
  colours: ColourStatus[];
  /** Milliseconds until the write hold or the refusal ends; 0: writes flow. */
  holdMs: number;
  /** Writes are refused, and not held. */
  refuses?: true;
  alerts: { alert: string; since: number }[];
  /** Why the environment could not be examined. */
  problem?: string;
  /** How the engine's state and the running environment disagree, and what to do. */
  doubt?: string;
  lastRelease:
    { id: string; version: string; verdict: string; endedAt: string | undefined; loss?: Loss | undefined } | undefined;
  /** While a release is open: that its way back is gone, or was. */
  gap?: WayBackGap | undefined;
  /** While a release is open: its writes have moved in a read-only window. */
  movedInWindow?: boolean;
}

export interface ColourStatus {
  colour: Colour;
  version: string | undefined;
  role: 'live' | 'idle' | 'canary';
  /** Percent of the reads. */
  weightPercent: number;
  instances: { up: number; total: number };
  /**
   * `streaming from blue` while it replicates from the other colour; otherwise the state of its instance, or `none`.
   */
  database: string;
  lagBytes: number | undefined;
  lagMs: number | undefined;
}

export function renderStatus(model: StatusModel, paint: Paint): string {
  if (model.environments.length === 0) return `No environment exists yet. Start with: ${greenlight('release')}`;
  return model.environments.map((environment) => renderEnvironment(environment, paint).join('\n')).join('\n\n');
}

function renderEnvironment(environment: EnvironmentStatus, paint: Paint): string[] {
  const { name, entry, colours, alerts, lastRelease } = environment;
  const release = lastRelease && `  release  ${describeRelease(lastRelease)}`;
  // The last release is shown even if the environment is gone or cannot be examined.
  const known = release === undefined ? [] : [release];
  const doubt = (environment.doubt?.split('\n') ?? []).map(
    (line, i) => `  ${i === 0 ? paint('bad', '✕') : ' '} ${oneLine(line)}`,
  );
  const { gap } = environment;
  const wayBack =
    gap === undefined
      ? environment.movedInWindow === true
        ? [`  way back ${paint('warn', `none: ${noWayBackArmed}. To lose what was written since: ${twoWays.back}`)}`]
        : []
      : [`  way back ${paint(gap.until === undefined ? 'bad' : 'warn', oneLine(describeGap(gap)))}`];
  if (environment.problem !== undefined) {
    return [
      `${paint('title', name)}  ${paint('bad', 'cannot be looked at')}`,
      ...environment.problem.split('\n').map((line) => `  ${line.trim()}`),
      ...doubt,
      ...known,
      ...wayBack,
    ];
  }
  if (entry === undefined) return [`${paint('title', name)}  ${paint('soft', 'not up')}`, ...doubt, ...known];
  const head: Cell[] = ['colour', 'version', 'role', 'reads', 'instances', 'database', 'lag'].map((text) => ({
    text,
    tone: 'soft',
  }));
  return [
    `${paint('title', name)}  ${entry}`,
    ...columns([head, ...colours.map(colourRow)], paint).map((line) => `  ${line}`),
    `  writes   ${describeWrites(environment, paint)}`,
    `  alerts   ${alerts.length === 0 ? 'none' : paint('bad', alerts.map((a) => `${oneLine(a.alert)} since ${formatTime(new Date(a.since).toISOString())}`).join(', '))}`,
    release ?? '  release  none yet',
    ...wayBack,
    ...doubt,
  ];
}

function describeWrites({ holdMs, refuses }: EnvironmentStatus, paint: Paint): string {
  if (holdMs <= 0) return 'flow';
  const what = refuses === true ? 'refused with 503' : 'held';
  return paint('warn', `${what} for at most ${formatDuration(holdMs)} more`);
}

const describeRelease = ({
  id,
  version,
  verdict,
  endedAt,
  loss,
}: NonNullable<EnvironmentStatus['lastRelease']>): string =>
  `${id}, ${version}: ${verdict}${loss === undefined ? '' : ` (${describeLoss(loss)})`}${endedAt === undefined ? '' : `, ${formatTime(endedAt)}`}`;

function colourRow(status: ColourStatus): Cell[] {
  const { up, total } = status.instances;
  const lag = [
    ...(status.lagMs === undefined ? [] : [formatDuration(status.lagMs)]),
    ...(status.lagBytes === undefined ? [] : [formatBytes(status.lagBytes)]),
  ];
  return [
    { text: status.colour },
    { text: status.version ?? 'none', ...(status.version === undefined && { tone: 'soft' as const }) },
    { text: status.role, tone: status.role === 'live' ? 'good' : status.role === 'canary' ? 'warn' : 'soft' },
    { text: `${status.weightPercent} %` },
    { text: `${up} of ${total} up`, ...(up < total && { tone: 'bad' as const }) },
    { text: status.database },
    { text: lag.join(', ') },
  ];
}
