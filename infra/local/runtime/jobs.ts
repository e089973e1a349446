import { spawn, type ChildProcess } from 'node:child_process';
import { accessSync, constants, existsSync, statSync, type Dirent } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import type { EnvironmentName } from '../../model.ts';
import type { Job, JobResult, Jobs } from '../../platform/jobs.ts';
import { containerJob, type StartedJob } from './container-job.ts';
import { JobLog } from '../../lib/job-log.ts';
import { endsWithParent } from '../../lib/lifetimes.ts';

/** Time between SIGTERM and SIGKILL. */
const graceMs = 3000;
/**
 * How long to read remaining output after a job has ended. Limited, because a daemon that it left can keep the pipes
 * open.
 */
const drainMs = 500;

/**
 * Runs each job as a process group on this machine, or in a container of the version's image, and ends all of it with it. Rejects if the job cannot be
 * started (missing program or artefact) or is aborted, but not if it fails or times out.
 */
export function createLocalJobs(options: LocalJobsOptions = {}): Jobs {
  const { redact = (text: string) => text, environment = 'staging' } = options;
  return {
    async run(asked) {
      refuseMissing(asked);
      const copy = asked.writable === true || asked.resultsIn !== undefined ? await copyOf(asked) : undefined;
      const job = copy === undefined ? asked : { ...asked, artefact: { ...asked.artefact, location: copy } };
      try {
        const started = (await containerJob(asked, environment, options.directory)) ?? plainJob(job);
        // A result of an earlier run must not be taken for the result of this one.
        if (job.results !== undefined) await rm(job.results, { recursive: true, force: true });
        for (const file of [job.results, job.log])
          if (file !== undefined) await mkdir(dirname(file), { recursive: true });
        const log = await JobLog.open(job.log, redact);
        try {
          const result = await execute(job, started, log);
          started.check?.(result);
          await bringResults(job);
          return result;
        } finally {
          await started.end?.();
          await log.close();
        }
      } finally {
        if (copy !== undefined) await rm(dirname(copy), { recursive: true, force: true });
      }
    },
  };
}

/** Copies the artefact, which nobody may change, for a job that writes into its directory. */
async function copyOf({ artefact: { location }, resultsIn }: Job): Promise<string> {
  const copy = join(await mkdtemp(join(tmpdir(), 'greenlight-job-')), 'artefact');
  await cp(location, copy, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
  for (const entry of await readdir(copy, { recursive: true, withFileTypes: true }))
    if (!entry.isSymbolicLink())
      await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o700 : await modeOf(entry));
  // What a build left there is no result of this run.
  if (resultsIn !== undefined) await rm(join(copy, resultsIn), { recursive: true, force: true });
  return copy;
}

/** The mode of a copied file, with its owner allowed to write. */
const modeOf = async (entry: Dirent): Promise<number> =>
  ((await stat(join(entry.parentPath, entry.name))).mode & 0o777) | 0o200;

async function bringResults({ artefact, resultsIn, results }: Job): Promise<void> {
  if (resultsIn === undefined || results === undefined) return;
  const written = join(artefact.location, resultsIn);
  if (existsSync(written)) await cp(written, results, { recursive: true });
}

export interface LocalJobsOptions {
  redact?: (text: string) => string;
  /** For the names of containers. */
  environment?: EnvironmentName;
  /** Its files that variables name are mounted. Absent: those of the project's home. */
  directory?: string;
}

function plainJob(job: Job): StartedJob {
  const path = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
  return { argv: resolveCommand(job, path), env: environment(job, path) };
}

async function execute(job: Job, { argv, env }: StartedJob, log: JobLog): Promise<JobResult> {
  if (job.signal?.aborted === true) throw aborted(job);
  const started = performance.now();
  const [command = '', ...args] = argv;
  // Not execa: it waits for the pipes, which a daemonised grandchild keeps open, and signals one process, not the
  // group.
  const child = spawn(command, args, {
    cwd: job.artefact.location,
    ...bareEnvironment(env),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) log.follow(stream);
  const closed = new Promise<void>((done) => child.once('close', () => done()));
  const exited = new Promise<number | undefined>((done, fail) => {
    child.once('error', (error) =>
      fail(new OperationError(`running ${job.name}`, error.message, 'check that the program is executable')),
    );
    child.once('exit', (code) => done(code ?? undefined));
  });

  const end = new AbortController();
  const interrupted = Promise.race([
    sleep(job.timeoutMs, 'timeout' as const, { signal: end.signal }),
    onAbort(job.signal, end.signal),
  ]).catch(() => 'ended' as const);
  const first = await Promise.race([exited.then(() => 'ended' as const), interrupted]);
  if (first !== 'ended') await stopGroup(child, exited);
  end.abort();
  const exitCode = await exited;
  signalGroup(child, 'SIGKILL');
  await Promise.race([closed, sleep(drainMs)]);
  for (const stream of [child.stdout, child.stderr]) stream.destroy();
  if (first === 'abort') throw aborted(job);

  const timedOut = first === 'timeout';
  if (timedOut) log.note(`${job.name} was stopped after ${job.timeoutMs} ms`);
  return { exitCode: timedOut ? undefined : exitCode, timedOut, ms: performance.now() - started, tail: log.tail() };
}

const aborted = (job: Job): OperationError =>
  new OperationError(`running ${job.name}`, 'it was aborted', 'repeat the command', { cause: job.signal?.reason });

const onAbort = (signal: AbortSignal | undefined, end: AbortSignal): Promise<'abort'> =>
  new Promise((done) => signal?.addEventListener('abort', () => done('abort'), { once: true, signal: end }));

/** SIGTERM to all processes of the job; SIGKILL to those that are still there after the grace time. */
async function stopGroup(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  signalGroup(child, 'SIGTERM');
  await Promise.race([exited, sleep(graceMs)]);
  signalGroup(child, 'SIGKILL');
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group has no process left.
  }
}

/** Passes on nothing else of this program's environment, because it may contain credentials. */
const environment = (job: Job, path: string): NodeJS.ProcessEnv => ({
  HOME: process.env['HOME'] ?? homedir(),
  LANG: process.env['LANG'] ?? 'C.UTF-8',
  TMPDIR: tmpdir(),
  ...job.env,
  PATH: job.env['PATH'] ?? path,
});

const cannot = (job: Job, found: string, todo: string): OperationError =>
  new OperationError(`running ${job.name}`, found, todo);

function refuseMissing(job: Job): void {
  const { location } = job.artefact;
  if (!statSync(location, { throwIfNoEntry: false })?.isDirectory())
    throw cannot(job, `there is no artefact in ${location}`, 'build this version again');
  if (job.results === undefined && job.command.some((part) => part.includes('{results}')))
    throw cannot(
      job,
      'its command has {results}, but the job has no results file',
      'remove {results} from the command',
    );
}

/** The command line, with `{results}` replaced. The job ends with this program where the kernel supports that. */
function resolveCommand(job: Job, path: string): string[] {
  const { location } = job.artefact;
  const command = job.command.map((part) => part.replaceAll('{results}', resolve(job.results ?? '')));
  const [name = '', ...args] = command;
  const program = findProgram(name, location, path);
  if (program === undefined) {
    throw cannot(
      job,
      `there is no program ${JSON.stringify(name)}`,
      'install it, or correct the command in greenlight.config.ts',
    );
  }
  return endsWithParent([program, ...args], 'KILL');
}

/** Like execvp: a name with a slash is a path relative to `directory`; any other name is searched for in `path`. */
function findProgram(name: string, directory: string, path: string): string | undefined {
  const directories = name.includes('/') ? [directory] : path.split(delimiter).filter(Boolean);
  return directories
    .map((one) => (isAbsolute(name) ? name : join(one, name)))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return statSync(file).isFile();
      } catch {
        return false;
      }
    });
}
