import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { replaceFile } from '../../lib/atomic-file.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { isAlive } from '../../lib/lifetimes.ts';
import { poll, until } from '../../lib/poll.ts';
import { toolPath } from '../../lib/tools.ts';
import type { Layout } from '../lib/layout.ts';
import { sessionVariables } from '../lib/process-environment.ts';
import { isFree } from '../../lib/free-ports.ts';
import { end, probe, recordedProcess } from './processes.ts';
import { prepareSocketDirectory } from '../lib/socket-path.ts';
import {
  configurationFile,
  pidFile,
  type Program,
  programFile,
  programLog,
  programPidFile,
  renderProgram,
  renderScript,
  renderSupervisor,
  scriptFile,
  scriptVariables,
  socketFile,
  supervisorLog,
  type SupervisorFiles,
} from './config.ts';
import { call, faults, RpcFault, type RpcValue } from './rpc.ts';

export interface ProgramState {
  name: string;
  /** As supervisord names it. */
  state: 'STOPPED' | 'STARTING' | 'RUNNING' | 'BACKOFF' | 'STOPPING' | 'EXITED' | 'FATAL' | 'UNKNOWN';
  /** 0 when it does not run. */
  pid: number;
  /** Last start and supervisord's own time, in whole seconds since the epoch. */
  start: number;
  now: number;
}

/** The one supervisord of an environment. Its programs outlive the process that started them, and come back when they die. */
export class Supervisor {
  readonly files: SupervisorFiles;
  readonly #socket: string;

  constructor(layout: Layout) {
    this.files = { directory: layout.supervisor(), logs: layout.logs() };
    this.#socket = socketFile(this.files);
  }

  /** Starts supervisord with the programs on disk, unless it runs. Processes that a killed supervisord left are ended first. */
  async start(): Promise<void> {
    if (await this.running()) return;
    for (const directory of [join(this.files.directory, 'conf.d'), join(this.files.directory, 'run'), this.files.logs])
      await mkdir(directory, { recursive: true, mode: 0o700 });
    await prepareSocketDirectory(this.#socket);
    await this.endOrphans();
    await replaceFile(configurationFile(this.files), renderSupervisor(this.files));
    const result = await execa(toolPath('supervisord'), ['-c', configurationFile(this.files)], {
      ...bareEnvironment(sessionVariables()),
      stdin: 'ignore',
      all: true,
      reject: false,
    });
    if (result.failed)
      throw new OperationError(
        'starting the supervisor',
        result.all.trim().split('\n').at(-1) ?? '',
        `look at ${supervisorLog(this.files)}`,
      );
    await until(async () => (await this.running()) || 'it does not answer', {
      everyMs: 30,
      timeoutMs: 10_000,
      doing: 'starting the supervisor',
      todo: `look at ${supervisorLog(this.files)}`,
    });
  }

  async running(): Promise<boolean> {
    try {
      await call(this.#socket, 'supervisor.getState');
      return true;
    } catch {
      return false;
    }
  }

  /** All programs that it knows; none when it does not run. */
  async list(): Promise<ProgramState[]> {
    if (!(await this.running())) return [];
    return ((await call(this.#socket, 'supervisor.getAllProcessInfo')) as Record<string, RpcValue>[]).map(toState);
  }

  /** What its files say that programs get, by name, whether it runs or not; only those programs whose name has `part` in it. */
  async variables(part: string): Promise<Record<string, Record<string, string>>> {
    const directory = dirname(scriptFile(this.files, part));
    const names = (await readdir(directory).catch(() => []))
      .filter((file) => file.endsWith('.sh'))
      .map((file) => basename(file, '.sh'))
      .filter((name) => name.includes(part));
    const read = async (name: string) =>
      [name, scriptVariables(await readFile(scriptFile(this.files, name), 'utf8').catch(() => ''))] as const;
    return Object.fromEntries(await Promise.all(names.map(read)));
  }

  /** Undefined where the program is not known, or the supervisor does not run. */
  async state(name: string): Promise<ProgramState | undefined> {
    try {
      return toState((await call(this.#socket, 'supervisor.getProcessInfo', name)) as Record<string, RpcValue>);
    } catch (error) {
      if (isFault(error, faults.badName) || !(await this.running())) return undefined;
      throw error;
    }
  }

  /**
   * Adds a program, or replaces it where its definition changed, and waits until it is ready. Others are not touched.
   * The same definition again only starts what is stopped. Rejects when it does not get ready in time.
   */
  async put(program: Program): Promise<void> {
    const known = await this.state(program.name);
    if (known !== undefined && (await this.isWritten(program))) {
      await this.startProgram(program.name);
    } else {
      if (known !== undefined) await this.#drop(program.name);
      await this.#endOrphan(program.name, program.stopSeconds);
      await refuseTakenPort(program);
      await replaceFile(scriptFile(this.files, program.name), renderScript(this.files, program));
      await replaceFile(programFile(this.files, program.name), renderProgram(this.files, program));
      await this.#reread();
      await this.#accept([faults.alreadyAdded], 'supervisor.addProcessGroup', program.name);
    }
    await this.#waitReady(program);
  }

  /** Whether the files on disk say what `program` says. */
  async isWritten(program: Program): Promise<boolean> {
    const [script, section] = await Promise.all(
      [scriptFile(this.files, program.name), programFile(this.files, program.name)].map((file) =>
        readFile(file, 'utf8').catch(() => undefined),
      ),
    );
    return script === renderScript(this.files, program) && section === renderProgram(this.files, program);
  }

  /** Stops a program and forgets it. Its log stays. Nothing happens where it is not known. */
  async remove(name: string): Promise<void> {
    const alive = await this.running();
    if (alive) await this.#drop(name);
    await this.#endOrphan(name, 10);
    for (const file of [programFile, scriptFile, programPidFile]) await rm(file(this.files, name), { force: true });
    if (alive) await this.#reread();
  }

  async startProgram(name: string): Promise<void> {
    await this.#accept([faults.alreadyStarted], 'supervisor.startProcess', name, false);
  }

  /** Stops it gracefully and waits; it stays stopped until `startProgram`. */
  async stopProgram(name: string): Promise<void> {
    await this.#accept([faults.notRunning], 'supervisor.stopProcess', name, true);
  }

  async signal(name: string, signal: 'HUP' | 'USR2'): Promise<void> {
    await call(this.#socket, 'supervisor.signalProcess', name, signal);
  }

  /** Stops every program and supervisord itself, and removes its files. Works too where supervisord is long gone. */
  async shutdown(): Promise<void> {
    const recorded = await readFile(pidFile(this.files), 'utf8').catch(() => '');
    if (await this.running()) {
      await call(this.#socket, 'supervisor.shutdown');
      const pid = Number(recorded);
      const gone = async () => !(await this.running()) && !(pid > 0 && isAlive(pid));
      await until(async () => (await gone()) || 'it still runs', {
        everyMs: 30,
        timeoutMs: 60_000,
        doing: 'stopping the supervisor',
        todo: `look at ${supervisorLog(this.files)}`,
      });
    }
    await this.endOrphans();
    await rm(this.files.directory, { recursive: true, force: true });
    if (dirname(this.#socket) !== this.files.directory)
      await rm(dirname(this.#socket), { recursive: true, force: true });
  }

  /** Ends the recorded processes that nobody supervises any more; only call it while supervisord does not run. */
  async endOrphans(): Promise<string[]> {
    const names = (await readdir(join(this.files.directory, 'run')).catch(() => []))
      .filter((file) => file.endsWith('.pid'))
      .map((file) => basename(file, '.pid'));
    const ended = await Promise.all(names.map(async (name) => ((await this.#endOrphan(name, 10)) ? [name] : [])));
    return ended.flat();
  }

  async #endOrphan(name: string, seconds: number): Promise<boolean> {
    const recorded = await recordedProcess(programPidFile(this.files, name));
    if (recorded === undefined) return false;
    const section = await readFile(programFile(this.files, name), 'utf8').catch(() => '');
    const signal = /^stopsignal=(\w+)$/m.exec(section)?.[1] ?? 'TERM';
    return end(recorded, `SIG${signal}` as NodeJS.Signals, seconds);
  }

  async #drop(name: string): Promise<void> {
    await this.#accept([faults.badName, faults.notRunning], 'supervisor.stopProcess', name, true);
    await this.#accept([faults.badName], 'supervisor.removeProcessGroup', name);
  }

  /** Reads the files again; this alone starts and stops nothing. */
  async #reread(): Promise<void> {
    try {
      await call(this.#socket, 'supervisor.reloadConfig');
    } catch (error) {
      if (!isFault(error, faults.cantReread)) throw error;
      const todo = `remove what somebody changed in ${join(this.files.directory, 'conf.d')}`;
      throw new OperationError('changing a program of the supervisor', (error as Error).message, todo, {
        cause: error,
      });
    }
  }

  async #accept(codes: number[], method: string, ...params: RpcValue[]): Promise<void> {
    try {
      await call(this.#socket, method, ...params);
    } catch (error) {
      if (!codes.some((code) => isFault(error, code))) throw error;
    }
  }

  /** A crash loop is found at its third start, not at the deadline. */
  async #waitReady(program: Program): Promise<void> {
    const crashes = new Set<number>();
    let reason: true | string = 'not yet asked';
    const ready = async () => {
      const state = await this.state(program.name);
      if (state?.state === 'BACKOFF') crashes.add(state.start);
      if (state?.state === 'FATAL' || state?.state === 'EXITED' || crashes.size >= 3)
        throw await this.#notReady(program, 'it exits as soon as it is started');
      if (state === undefined || state.pid === 0) return undefined;
      reason = await probe(program.ready);
      const stays = program.ready.kind !== 'none' || state.state === 'RUNNING';
      return (reason === true && stays) || undefined;
    };
    if (await poll(ready, { everyMs: 50, timeoutMs: program.readySeconds * 1000 })) return;
    throw await this.#notReady(program, `not ready after ${program.readySeconds} s (${String(reason)})`);
  }

  async #notReady(program: Program, found: string): Promise<OperationError> {
    const file = programLog(this.files, program.name);
    const log = (await readFile(file, 'utf8').catch(() => '')).trim().split('\n').slice(-5).join(' | ');
    return new OperationError(`starting ${program.name}`, log === '' ? found : `${found}: ${log}`, `look at ${file}`);
  }
}

const isFault = (error: unknown, code: number): boolean => error instanceof RpcFault && error.code === code;

const toState = (info: Record<string, RpcValue>): ProgramState => ({
  name: info['name'] as string,
  state: info['statename'] as ProgramState['state'],
  pid: Number(info['pid']),
  start: Number(info['start']),
  now: Number(info['now']),
});

/** A program whose port another one has would be started again and again, and the other one's answers taken for its own. */
async function refuseTakenPort({ name, ready }: Program): Promise<void> {
  if (ready.kind === 'none') return;
  const port = ready.kind === 'tcp' ? ready.port : Number(new URL(ready.url).port);
  if (await isFree(port)) return;
  throw new OperationError(
    `starting ${name}`,
    `its port ${port} is taken by another program`,
    'stop that program; or take this environment down (npm run destroy) and up again: it gets other ports',
  );
}
