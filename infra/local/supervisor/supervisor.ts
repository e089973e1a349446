import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { execa } from 'execa';
import { answerWatch, explainAnswer } from '../../application/health.ts';
import { replaceFile } from '../../lib/atomic-file.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { greenlight } from '../../lib/command.ts';
import { OperationError } from '../../lib/errors.ts';
import { isAlive } from '../../lib/lifetimes.ts';
import { poll, until } from '../../lib/poll.ts';
import { toolPath } from '../../lib/tools.ts';
import type { Layout } from '../lib/layout.ts';
import { sessionVariables } from '../lib/process-environment.ts';
import { isFree } from '../../lib/free-ports.ts';
import { describeListener } from '../../lib/listener.ts';
import { end, endOfLog, probe, recordedProcess, type Unready } from './processes.ts';
import { prepareSocketDirectory } from '../lib/socket-path.ts';
import {
  clearFile,
  configurationFile,
  pidFile,
  type Program,
  programFile,
  programLog,
  programPidFile,
  renderClear,
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
  /** supervisord's `statename`. */
  state: 'STOPPED' | 'STARTING' | 'RUNNING' | 'BACKOFF' | 'STOPPING' | 'EXITED' | 'FATAL' | 'UNKNOWN';
  /** 0: not running. */
  pid: number;
  /** Time of the last start and supervisord's current time, whole seconds since the epoch. */
  start: number;
  now: number;
}

/**
 * The supervisord of an environment. Its programs keep running after the command ends, and are restarted when they
 * exit.
 */
export class Supervisor {
  readonly files: SupervisorFiles;
  readonly #socket: string;

  constructor(layout: Layout) {
    this.files = { directory: layout.supervisor(), logs: layout.logs() };
    this.#socket = socketFile(this.files);
  }

  /**
   * Starts supervisord and the programs that it has on disk. Ends processes that a killed supervisord left. No-op if it
   * runs.
   */
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

  /** All programs that supervisord knows. Empty if it is not running. */
  async list(): Promise<ProgramState[]> {
    if (!(await this.running())) return [];
    return ((await call(this.#socket, 'supervisor.getAllProcessInfo')) as Record<string, RpcValue>[]).map(toState);
  }

  /**
   * Environment variables from the scripts of all programs whose name contains `part`, by program. Works without
   * supervisord.
   */
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

  /** Undefined if the program is unknown or supervisord is not running. */
  async state(name: string): Promise<ProgramState | undefined> {
    try {
      return toState((await call(this.#socket, 'supervisor.getProcessInfo', name)) as Record<string, RpcValue>);
    } catch (error) {
      if (isFault(error, faults.badName) || !(await this.running())) return undefined;
      throw error;
    }
  }

  /**
   * Adds a program, or replaces it if its definition changed, and waits until it is ready. With an unchanged
   * definition, only starts it if it is stopped. Does not affect other programs. Rejects with an OperationError if it
   * is not ready in time.
   */
  async put(program: Program): Promise<void> {
    const known = await this.state(program.name);
    if (known !== undefined && (await this.isWritten(program))) {
      await this.startProgram(program.name);
    } else {
      if (known !== undefined) await this.#drop(program.name);
      await this.#endOrphan(program.name, program.stopSeconds);
      await refuseTakenPort(program);
      await this.#writeClear(program);
      await replaceFile(scriptFile(this.files, program.name), renderScript(this.files, program));
      await replaceFile(programFile(this.files, program.name), renderProgram(this.files, program));
      await this.#reread();
      await this.#accept([faults.alreadyAdded], 'supervisor.addProcessGroup', program.name);
    }
    await this.#waitReady(program);
  }

  /** Whether the files on disk match `program`. */
  async isWritten(program: Program): Promise<boolean> {
    const [script, section, clear] = await Promise.all(
      [scriptFile, programFile, clearFile].map((file) =>
        readFile(file(this.files, program.name), 'utf8').catch(() => undefined),
      ),
    );
    const [wantedScript, wantedSection] = [renderScript(this.files, program), renderProgram(this.files, program)];
    return script === wantedScript && section === wantedSection && clear === renderClear(program);
  }

  /** Stops a program and deletes its files except the log. No-op if it is unknown. */
  async remove(name: string): Promise<void> {
    const alive = await this.running();
    if (alive) await this.#drop(name);
    await this.#endOrphan(name, 10);
    for (const file of [programFile, scriptFile, programPidFile, clearFile])
      await rm(file(this.files, name), { force: true });
    if (alive) await this.#reread();
  }

  async startProgram(name: string): Promise<void> {
    await this.#accept([faults.alreadyStarted], 'supervisor.startProcess', name, false);
  }

  /** Stops a program gracefully and waits for its end. It stays stopped until `startProgram`. */
  async stopProgram(name: string): Promise<void> {
    await this.#accept([faults.notRunning], 'supervisor.stopProcess', name, true);
    await this.#clear(name);
  }

  async signal(name: string, signal: 'HUP' | 'USR2'): Promise<void> {
    await call(this.#socket, 'supervisor.signalProcess', name, signal);
  }

  /** Stops all programs and supervisord, and deletes its files. Also works if supervisord is not running. */
  async shutdown(): Promise<void> {
    const recorded = await readFile(pidFile(this.files), 'utf8').catch(() => '');
    if (await this.running()) {
      await call(this.#socket, 'supervisor.shutdown');
      const pid = Number(recorded);
      const gone = async () => !(await this.running()) && !(pid > 0 && isAlive(pid));
      await until(async () => (await gone()) || 'it still runs', {
        everyMs: 30,
        // Longer than the longest `stopSeconds` of a service.
        timeoutMs: 150_000,
        doing: 'stopping the supervisor',
        todo: `look at ${supervisorLog(this.files)}`,
      });
    }
    await this.endOrphans();
    await rm(this.files.directory, { recursive: true, force: true });
    if (dirname(this.#socket) !== this.files.directory)
      await rm(dirname(this.#socket), { recursive: true, force: true });
  }

  /**
   * Ends recorded processes without a supervisor and resolves to their names. Only call it while supervisord is not
   * running.
   */
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
    const ended = await end(recorded, `SIG${signal}` as NodeJS.Signals, seconds);
    await this.#clear(name);
    return ended;
  }

  async #writeClear(program: Program): Promise<void> {
    const [file, script] = [clearFile(this.files, program.name), renderClear(program)];
    await (script === undefined ? rm(file, { force: true }) : replaceFile(file, script));
  }

  /** Removes what a program leaves when it is killed. Its failure shows in what starts next: a port is taken. */
  async #clear(name: string): Promise<void> {
    const file = clearFile(this.files, name);
    if (!existsSync(file)) return;
    await execa('/bin/sh', [file], {
      ...bareEnvironment(sessionVariables()),
      stdin: 'ignore',
      reject: false,
      timeout: 60_000,
    });
  }

  async #drop(name: string): Promise<void> {
    await this.#accept([faults.badName, faults.notRunning], 'supervisor.stopProcess', name, true);
    await this.#clear(name);
    await this.#accept([faults.badName], 'supervisor.removeProcessGroup', name);
  }

  /** Makes supervisord read its files again. This neither starts nor stops programs. */
  async #reread(): Promise<void> {
    try {
      await call(this.#socket, 'supervisor.reloadConfig');
    } catch (error) {
      if (!isFault(error, faults.cantReread)) throw error;
      const todo = `undo manual changes in ${join(this.files.directory, 'conf.d')}`;
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

  /**
   * Rejects once waiting has no use: at the first exit of an instance of the application, at the third of another program, and when a
   * health path keeps to a wrong answer.
   */
  async #waitReady(program: Program): Promise<void> {
    const exits = new Set<number>();
    const hopeless = answerWatch();
    let pid = 0;
    let reason = { says: 'not probed yet' } as true | Unready;
    const ready = async () => {
      const state = await this.state(program.name);
      if (state?.state === 'BACKOFF') exits.add(state.start);
      const restarted = pid !== 0 && state !== undefined && state.pid !== 0 && state.pid !== pid;
      const ended = state?.state === 'FATAL' || state?.state === 'EXITED';
      const gone = exits.size > 0 || restarted;
      if (ended || exits.size >= 3 || (program.label !== undefined && gone))
        throw await this.#notReady(program, 'it exits as soon as it is started');
      if (state === undefined || state.pid === 0) return undefined;
      pid = state.pid;
      reason = await probe(program.ready, program);
      if (reason !== true && hopeless(reason.answer)) throw this.#wrongAnswer(program, reason);
      const isUp = program.ready.kind !== 'none' || state.state === 'RUNNING';
      return (reason === true && isUp) || undefined;
    };
    if (await poll(ready, { everyMs: 50, timeoutMs: program.readySeconds * 1000 })) return;
    if (reason !== true && reason.answer !== undefined) throw this.#wrongAnswer(program, reason);
    const says = reason === true ? 'it is not running' : reason.says;
    throw await this.#notReady(program, `not ready after ${program.readySeconds} s (${says})`);
  }

  #wrongAnswer(program: Program, { says, answer }: Unready): OperationError {
    if (answer === undefined) throw new TypeError(says);
    const { found, todo } = explainAnswer(answer);
    return new OperationError(`starting ${titleOf(program)}`, found, `${todo}; its log: ${this.#logOf(program)}`);
  }

  async #notReady(program: Program, found: string): Promise<OperationError> {
    const file = this.#logOf(program);
    const log = await endOfLog(file);
    const todo = program.advice === undefined ? '' : `; ${program.advice}`;
    return new OperationError(
      `starting ${titleOf(program)}`,
      log === '' ? found : `${found}: ${log}`,
      `look at ${file}${todo}`,
    );
  }

  #logOf = ({ name }: Program): string => programLog(this.files, name);
}

const titleOf = ({ name, label }: Program): string => (label === undefined ? name : `${label} (${name})`);

const isFault = (error: unknown, code: number): boolean => error instanceof RpcFault && error.code === code;

const toState = (info: Record<string, RpcValue>): ProgramState => ({
  name: info['name'] as string,
  state: info['statename'] as ProgramState['state'],
  pid: Number(info['pid']),
  start: Number(info['start']),
  now: Number(info['now']),
});

/**
 * Without this check the program would fail to start repeatedly, while the other program answers its readiness probe.
 */
async function refuseTakenPort({ name, ready }: Program): Promise<void> {
  if (ready.kind === 'none') return;
  const port = ready.kind === 'http' ? Number(new URL(ready.url).port) : ready.port;
  if (await isFree(port)) return;
  throw new OperationError(
    `starting ${name}`,
    `its port ${port} is taken by ${describeListener(port)}`,
    `stop that program; or take this environment down (${greenlight('destroy')}) and release again: it then gets other ports`,
  );
}
