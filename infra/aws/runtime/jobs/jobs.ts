import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Container, Task } from '@aws-sdk/client-ecs';
import { OperationError, messageOf } from '../../../lib/errors.ts';
import { JobLog } from '../../../lib/job-log.ts';
import type { Job, JobResult, Jobs } from '../../../platform/jobs.ts';
import { authoritiesFile } from '../../lib/names.ts';
import { calling } from '../client/errors.ts';
import { readLog, authorityVariable, parseOutput, wrappedCommand, type JobOutput } from './wrapper.ts';
import {
  containerOf,
  cureOf,
  describeTask,
  notStarted,
  startFailure,
  startTask,
  stopTask,
  streamName,
  type TaskSpec,
} from './task.ts';
import type { Setting } from '../client/setting.ts';
import { temporaryTags } from '../client/temporary.ts';
import { until } from '../client/waiting.ts';

export interface JobWaits {
  /** Poll interval for a task, ms. */
  pollMs: number;
  /** Longest time until a task runs, including the pull of its image, ms. Not part of the job's own time. */
  startMs: number;
  /** Longest time from the stop request until the task has stopped, ms. */
  stopMs: number;
  /** Longest wait for the end of a log, ms. */
  logMs: number;
}

export const jobWaits: JobWaits = { pollMs: 3000, startMs: 10 * 60_000, stopMs: 2 * 60_000, logMs: 60_000 };

export interface JobsOptions extends Setting {
  redact?: (text: string) => string;
  waits?: Partial<JobWaits>;
}

/** Runs jobs as Fargate tasks with the artefact's image, which must be in the registry: `Environment.provide`. */
export function createAwsJobs(options: JobsOptions): Jobs {
  const waits = { ...jobWaits, ...options.waits };
  const redact = options.redact ?? ((text: string) => text);
  return {
    async run(job) {
      // Results of an earlier run must not be taken for those of this one.
      if (job.results !== undefined) await rm(job.results, { force: true });
      for (const file of [job.results, job.log])
        if (file !== undefined) await mkdir(dirname(file), { recursive: true });
      const log = await JobLog.open(job.log, redact);
      try {
        return await calling(`running ${job.name}`, () => execute(options, waits, job, log));
      } finally {
        await log.close();
      }
    },
  };
}

async function execute(setting: JobsOptions, waits: JobWaits, job: Job, log: JobLog): Promise<JobResult> {
  const doing = `running ${job.name}`;
  const marker = `greenlight-${randomBytes(16).toString('hex')}`;
  const spec = await specOf(setting, job, marker, waits);
  if (job.signal?.aborted === true) throw aborted(job);
  const began = performance.now();
  const started = await startTask(setting, spec, { doing, pollMs: waits.pollMs, capacityMs: waits.startMs });
  try {
    const { task, timedOut } = await untilEnded(setting, waits, job, started.arn);
    const failure = startFailure(task, spec.container);
    const lines = await readLog(setting, streamName('job', spec.container, started.arn), {
      pollMs: waits.pollMs,
      // A stopped task, or one that never ran, writes no end marker.
      waitMs: timedOut || failure !== undefined ? 0 : waits.logMs,
      complete: (all) => ended(parseOutput(all, marker)),
    });
    const output = parseOutput(lines, marker);
    for (const line of output.lines) log.note(line);
    if (timedOut) log.note(`${job.name} was stopped after ${job.timeoutMs} ms`);
    else if (failure !== undefined) throw notStarted(doing, failure);
    else checkRun(job, containerOf(task, spec.container), output, log);
    if (job.results !== undefined && output.results !== undefined) await writeFile(job.results, output.results);
    const exitCode = timedOut ? undefined : containerOf(task, spec.container)?.exitCode;
    return { exitCode, timedOut, ms: ranMs(task) ?? performance.now() - began, tail: log.tail() };
  } finally {
    await started.forget();
  }
}

const ended = ({ exitCode, refused }: JobOutput): boolean => exitCode !== undefined || refused !== undefined;

const ranMs = ({ startedAt, stoppedAt }: Task): number | undefined =>
  startedAt === undefined || stoppedAt === undefined
    ? undefined
    : Math.max(1, stoppedAt.getTime() - startedAt.getTime());

const aborted = (job: Job): OperationError =>
  new OperationError(`running ${job.name}`, 'it was aborted', 'repeat the command', { cause: job.signal?.reason });

/**
 * Throws an OperationError if the command never ran, because then the exit code is not the command's. If the command
 * was killed, notes the reason in the log.
 */
function checkRun(job: Job, container: Container | undefined, output: JobOutput, log: JobLog): void {
  const doing = `running ${job.name}`;
  if (output.refused === 'missing')
    throw new OperationError(
      doing,
      `there is no program ${JSON.stringify(job.command[0])} in the image`,
      'install it in the image, or correct the command in greenlight.config.ts',
    );
  if (output.refused === 'cannot write')
    throw new OperationError(
      doing,
      '/tmp of its container cannot be written to',
      'declare VOLUME /tmp in the image, writable for its user',
    );
  if (output.exitCode !== undefined) {
    if (output.exitCode === container?.exitCode) return;
    throw new OperationError(
      doing,
      `its log says exit code ${output.exitCode}, ECS says ${container?.exitCode}`,
      cureOf(''),
    );
  }
  const reason = container?.reason ?? '';
  // A binary for another CPU architecture ends with an exit code although it never ran.
  if (output.lines.some((line) => line.includes('exec format error'))) throw notStarted(doing, 'exec format error');
  if (reason !== '') log.note(`${job.name} was killed: ${reason}; ${cureOf(reason)}`);
  else log.note(`the end of this log did not arrive; look for the missing lines in the log group of the jobs`);
}

/**
 * Polls the task until it has ended, and stops it after its timeout. On abort, or on an error, stops it and rejects.
 */
async function untilEnded(
  setting: Setting,
  waits: JobWaits,
  job: Job,
  arn: string,
): Promise<{ task: Task; timedOut: boolean }> {
  const doing = `running ${job.name}`;
  const { pollMs, startMs, stopMs } = waits;
  const begun = Date.now();
  let running: number | undefined;
  const look = async (): Promise<{ task?: Task } | string> => {
    const task = await describeTask(setting, arn);
    if (task?.lastStatus === 'STOPPED') return { task };
    const now = Date.now();
    if (task?.lastStatus === 'RUNNING') running ??= now;
    if (running !== undefined && now - running >= job.timeoutMs) return {};
    if (running === undefined && now - begun >= startMs)
      throw new OperationError(
        doing,
        `its task is ${task?.lastStatus ?? 'not known'} after ${startMs / 1000} s`,
        cureOf(''),
      );
    return `its task is ${task?.lastStatus ?? 'not known yet'}`;
  };
  const deadlineMs = startMs + job.timeoutMs + stopMs;
  try {
    const wait = { doing, deadlineMs, pollMs, todo: cureOf(''), signal: job.signal };
    const { task } = await until(wait, look);
    if (task !== undefined) return { task, timedOut: false };
  } catch (error) {
    await stopTask(setting, arn, 'no longer needed').catch(() => undefined);
    if (job.signal?.aborted === true) throw aborted(job);
    throw error;
  }
  await stopTask(setting, arn, `timed out after ${job.timeoutMs} ms`);
  const stopped = await until({ doing, deadlineMs: stopMs, pollMs, todo: cureOf('') }, async () => {
    const task = await describeTask(setting, arn);
    return task?.lastStatus === 'STOPPED' ? task : `its task is ${task?.lastStatus ?? 'not known'}`;
  });
  return { task: stopped, timedOut: true };
}

/** The task of a job. Paths of this machine do not exist in a container, so they are replaced. */
async function specOf(setting: Setting, job: Job, marker: string, waits: JobWaits): Promise<TaskSpec> {
  const { environment, foundation, settings } = setting;
  // A name of its own, not the marker: the program may print its path.
  const directory = `/tmp/greenlight-${randomBytes(8).toString('hex')}`;
  const results = job.results === undefined ? undefined : `${directory}/${basename(job.results)}`;
  const command = job.command.map((part) => {
    if (!part.includes('{results}')) return part;
    if (results === undefined)
      throw new OperationError(
        `running ${job.name}`,
        'its command has {results}, but it writes none',
        'remove {results}',
      );
    return part.replaceAll('{results}', results);
  });
  const env = containerEnv(job.env, job.database?.access.caFile);
  const authority = await entryAuthority(settings.authorities.entry, job);
  const variables = { ...env, ...(authority === undefined ? {} : { [authorityVariable]: authority }) };
  const isEmpty = ([, value]: [string, string]) => value === '';
  const entries = Object.entries(variables);
  const marks = { environment, application: foundation.spec.application, owner: settings.owner };
  const keepHome = 'HOME' in job.env;
  return {
    kind: 'job',
    container: 'job',
    artefact: job.artefact,
    image: job.image,
    command: wrappedCommand({ marker, directory, command, keepHome, results }),
    // ECS rejects an empty value in a secret.
    environment: Object.fromEntries(entries.filter(isEmpty)),
    secrets: Object.fromEntries(entries.filter((entry) => !isEmpty(entry))),
    tags: temporaryTags(marks, job.name, job.timeoutMs + waits.startMs + waits.stopMs + waits.logMs),
  };
}

/**
 * A job's variables for a container: those that name the file of the database's authorities name the image's, and
 * NODE_EXTRA_CA_CERTS is left out.
 */
export function containerEnv(env: Record<string, string>, caFile?: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) => {
      if (name === 'NODE_EXTRA_CA_CERTS') return [];
      const isDatabase = /^postgres(ql)?(\+\w+)?:\/\//.test(value);
      const there = caFile === undefined ? value : value.replaceAll(caFile, authoritiesFile);
      if (!isDatabase) return [[name, there]];
      return [[name, there.replace(/([?&]sslrootcert=)[^&]*/, (_, start: string) => start + authoritiesFile)]];
    }),
  );
}

/** PEM text of the entry point's authority, if its certificate is not a public one. */
async function entryAuthority(entry: string | undefined, job: Job): Promise<string | undefined> {
  const file = job.env['NODE_EXTRA_CA_CERTS'];
  if (entry === undefined || file === undefined) return undefined;
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new OperationError(`running ${job.name}`, messageOf(error), 'correct authorities.entry (aws)', {
      cause: error,
    });
  }
}
