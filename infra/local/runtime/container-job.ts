import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { containerProgram, removeAbandoned } from '../../containers/containers.ts';
import { imagesOf } from '../../containers/record.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { endsWithParent } from '../../lib/lifetimes.ts';
import { home } from '../../lib/paths.ts';
import type { EnvironmentName } from '../../model.ts';
import type { Job, JobResult } from '../../platform/jobs.ts';
import { sessionVariables } from '../lib/process-environment.ts';

/** How a job is started here. */
export interface StartedJob {
  argv: string[];
  env: NodeJS.ProcessEnv;
  /** Throws an OperationError where the result says that it could not be started. */
  check?(result: JobResult): void;
  /** Brings the results and removes what is left of it. */
  end?(): Promise<void>;
}

/** Where a job in a container writes its results. */
const resultsDirectory = '/greenlight-results';
/** A job may need more than an instance: tests start servers of their own. */
export const jobLimits = { memoryMegabytes: 2048, cpus: 2 };

/** A job in the image that the version's jobs run in. Undefined for a version whose jobs run in its artefact. */
export async function containerJob(
  job: Job,
  environment: EnvironmentName,
  directory = home(),
): Promise<StartedJob | undefined> {
  const images = await imagesOf(job.artefact);
  const image = images?.record.services[images.record.jobs ?? ''];
  if (images === undefined || image === undefined) return undefined;
  if (job.resultsIn !== undefined)
    throw new OperationError(
      `running ${job.name}`,
      'it runs in a container, whose own files are gone with it, and `results` names one of them',
      'put {results} into the command in place of `results`',
    );
  const { engine, record } = images;
  await removeAbandoned(engine, environment);
  const folder = await mkdtemp(join(tmpdir(), 'greenlight-job-'));
  const results = join(folder, 'results');
  await mkdir(results);
  // The user of the image is somebody else. The directory above lets nobody else in.
  await chmod(results, 0o777);
  const { PATH: _ofThisMachine, ...env } = job.env;
  const file = job.results === undefined ? 'results' : basename(job.results);
  const program = containerProgram(engine, {
    environment,
    name: `job-${randomBytes(6).toString('hex')}`,
    image: image.id,
    program: job.command.map((part) => part.replaceAll('{results}', join(resultsDirectory, file))),
    env,
    limits: jobLimits,
    readOnly: image.readOnly,
    runtime: record.runtime,
    mounts: [
      { source: results, target: resultsDirectory, writable: true },
      ...filesIn(env, directory).map((source) => ({ source })),
    ],
    owned: true,
  });
  return {
    // The engine's command line has to be alive to end the container, so it gets no SIGKILL with this program.
    argv: endsWithParent(program.argv, 'TERM'),
    env: program.env,
    check: (result) => refuseUnstarted(job, result),
    async end() {
      const [command = '', ...args] = program.clear;
      await execa(command, args, { ...bareEnvironment(sessionVariables()), stdin: 'ignore', reject: false });
      if (job.results !== undefined)
        await cp(join(results, file), job.results, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
        });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Greenlight's own files that variables name, as a path or as a parameter of a URL, such as the authority of a certificate. */
export function filesIn(env: Record<string, string>, directory: string): string[] {
  const paths = Object.values(env).flatMap((value) => [
    value,
    ...[...value.matchAll(/=([^&\s]+)/g)].map(([, part = '']) => decoded(part)),
  ]);
  return [...new Set(paths)].filter(
    (path) => path.startsWith(`${directory}/`) && statSync(path, { throwIfNoEntry: false })?.isFile() === true,
  );
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Exit codes of an engine that could not start a program: 125 its own, 126 and 127 also a program's, so its words decide. */
function refuseUnstarted(job: Job, { exitCode, tail }: JobResult): void {
  const byEngine = exitCode === 125 || ((exitCode === 126 || exitCode === 127) && /\bOCI\b/.test(tail));
  if (byEngine)
    throw new OperationError(
      `running ${job.name}`,
      `${JSON.stringify(job.command[0])} could not be started in the image: ${tail.trim().split('\n').at(-1) ?? ''}`,
      'correct the command in greenlight.config.ts, or add the program to the image (application.jobs.image)',
    );
}
