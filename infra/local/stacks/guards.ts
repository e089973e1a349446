import type { ScheduleSpec, WorkerSpec } from '../../model.ts';
import { searchPath } from '../lib/layout.ts';
import type { Place } from '../provider/handler.ts';
import type { ProcessInputs } from '../provider/process.ts';
import { guardCommand } from '../workers/command.ts';
import { commandPrefix } from '../workers/settings.ts';
import { containerOf, programEnvironment, type VersionPlace } from './instance.ts';

/** Beyond the time that a guard gives its command, before the guard itself is killed, s. */
const marginSeconds = 5;

type Guarded = Omit<ProcessInputs, keyof Place>;

/** The supervised programs that guard the workers and schedules of a version. They contain references to secrets, and no secret. */
export const guardsOf = (of: VersionPlace): Guarded[] => [
  ...(of.spec.workers ?? []).flatMap((worker) =>
    Array.from({ length: worker.instances }, (_, index) => guardOf(of, worker, index, { argv: worker.start })),
  ),
  ...(of.spec.schedules ?? []).map((schedule) => guardOf(of, schedule, 0, { argv: schedule.command, schedule })),
];

function guardOf(
  of: VersionPlace,
  program: Pick<WorkerSpec, 'name' | 'image' | 'env' | 'database' | 'stopSeconds'>,
  index: number,
  { argv, schedule }: { argv: string[]; schedule?: ScheduleSpec },
): Guarded {
  const { layout, artefact } = of;
  const { colour } = of.colour;
  const name = `${program.name}.${colour}.${index + 1}`;
  const { stopSeconds } = program;
  const times = schedule && {
    cron: schedule.cron,
    timeZone: schedule.timeZone,
    timeoutSeconds: schedule.timeoutSeconds,
  };
  const service = of.spec.services.find((one) => one.name === program.image);
  const plain = programEnvironment(of, program, program);
  const container = containerOf(of, service, { name, env: plain, program: argv });
  const own = Object.entries(container?.env ?? plain).map(([key, value]) => [`${commandPrefix}${key}`, value]);
  return {
    name,
    argv: guardCommand(layout, {
      name,
      colour,
      argv: container?.argv ?? argv,
      ...(container === undefined ? {} : { clear: container.clear }),
      stopSeconds,
      ...(times === undefined ? {} : { schedule: times }),
    }),
    env: {
      PATH: searchPath(),
      GREENLIGHT_VERSION: artefact.version,
      ...(Object.fromEntries(own) as Record<string, string>),
    },
    ...(container === undefined ? {} : { clear: container.clear }),
    cwd: artefact.location,
    ready: { kind: 'none' },
    readySeconds: 30,
    stopSignal: 'TERM',
    stopSeconds: stopSeconds + marginSeconds,
    stopGroup: false,
    balanced: false,
    restartOn: [artefact.digest],
  };
}
