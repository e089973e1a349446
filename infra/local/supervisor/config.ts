import { join } from 'node:path';
import { socketPath } from '../lib/socket-path.ts';

/**
 * supervisord's configuration files, as pure functions. Environment and arguments of a program are in a separate shell
 * script (mode 0600) that ends with `exec`. supervisord's format cannot express values with quotes, newlines or ` ;`,
 * and secrets in the script appear neither in argument lists nor in supervisord's answers.
 */

export type Probe =
  | { kind: 'none' }
  | { kind: 'tcp'; port: number }
  /** Ready when it responds with one of `statuses`; absent: 200. `caFile`: certificate authority for https. */
  | {
      kind: 'http';
      url: string;
      caFile?: string | undefined;
      statuses?: number[] | undefined;
      headers?: Record<string, string> | undefined;
    }
  /**
   * Ready when it listens and this command, run in its directory with its environment, ends with exit code 0. `within`: command line
   * that runs it in the program's container.
   */
  | { kind: 'command'; argv: string[]; within?: string[] | undefined; port: number };

/** A process that supervisord keeps alive. */
export interface Program {
  /** For example `api.blue.1`. Also used in file names. */
  name: string;
  /** What messages call it, `api 2.0.0`: an instance of the application, whose first exit ends its start. */
  label?: string | undefined;
  argv: string[];
  env: Record<string, string>;
  /** Texts in the values of `env` that stand for the content of a file, which the script reads: it then contains no such secret. */
  secretFiles?: Record<string, string>;
  /**
   * Removes what the program leaves when it is killed, such as a container: runs before each start and after each stop.
   * Its failure is no error. It gets no variable of the program.
   */
  clear?: string[] | undefined;
  /** What else to do where it does not start, for a person. */
  advice?: string | undefined;
  cwd: string;
  ready: Probe;
  readySeconds: number;
  stopSignal: 'TERM' | 'INT' | 'QUIT' | 'USR1';
  /** Seconds between the stop signal and SIGKILL. */
  stopSeconds: number;
  /** Whether the stop signal also goes to its child processes, for programs that do not forward it. */
  stopGroup: boolean;
  /** Size at which the log is rotated. Two older files are kept. */
  logMegabytes: number;
  /** Hashes of other files that it reads at its start. A change of any restarts the program. */
  restartOn: string[];
}

/** Where supervisord and its programs keep their files. */
export interface SupervisorFiles {
  directory: string;
  logs: string;
}

export const configurationFile = (files: SupervisorFiles): string => join(files.directory, 'supervisord.conf');
export const pidFile = (files: SupervisorFiles): string => join(files.directory, 'supervisord.pid');
export const supervisorLog = (files: SupervisorFiles): string => join(files.logs, 'supervisord.log');
export const programFile = (files: SupervisorFiles, name: string): string =>
  join(files.directory, 'conf.d', `${name}.conf`);
export const scriptFile = (files: SupervisorFiles, name: string): string => join(files.directory, 'run', `${name}.sh`);
/** Script that removes what the program leaves. Only a program with `clear` has one. */
export const clearFile = (files: SupervisorFiles, name: string): string =>
  join(files.directory, 'run', `${name}.clear`);
export const programPidFile = (files: SupervisorFiles, name: string): string =>
  join(files.directory, 'run', `${name}.pid`);
export const programLog = (files: SupervisorFiles, name: string): string => join(files.logs, `${name}.log`);

export const socketFile = (files: SupervisorFiles): string => socketPath(files.directory, 'supervisor.sock');

/** `supervisord.conf`. No network listener; only the owner can use the socket. */
export function renderSupervisor(files: SupervisorFiles): string {
  return `[unix_http_server]
file=${escape(socketFile(files))}
chmod=0700

[supervisord]
logfile=${escape(supervisorLog(files))}
logfile_maxbytes=2MB
logfile_backups=2
pidfile=${escape(pidFile(files))}
childlogdir=${escape(files.logs)}
directory=${escape(files.directory)}
umask=022

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[include]
files=conf.d/*.conf
`;
}

/**
 * `conf.d/<name>.conf`. A program counts as started after one second. supervisord gives up after ten failed starts,
 * about a minute.
 */
export function renderProgram(files: SupervisorFiles, program: Program): string {
  return `[program:${program.name}]
command=/bin/sh "${escape(scriptFile(files, program.name))}"
autostart=true
autorestart=true
startsecs=1
startretries=10
stopsignal=${program.stopSignal}
stopwaitsecs=${program.stopSeconds}
stopasgroup=${program.stopGroup}
killasgroup=true
redirect_stderr=true
stdout_logfile=${escape(escape(programLog(files, program.name)))}
stdout_logfile_maxbytes=${program.logMegabytes}MB
stdout_logfile_backups=2
`;
}

/**
 * The script that starts the program with `exec`. It first records pid and start time, so that a process whose
 * supervisor was killed can be found and distinguished from a later process with the same pid.
 */
export function renderScript(files: SupervisorFiles, program: Program): string {
  const variables = Object.entries(program.env).sort(([a], [b]) => (a < b ? -1 : 1));
  const secrets = Object.entries(program.secretFiles ?? {}).map(([text, file], index) => ({
    text,
    file,
    variable: `greenlight_secret_${index}`,
  }));
  const word = (value: string): string =>
    secrets.reduce((all, { text, variable }) => all.replaceAll(text, `'"$${variable}"'`), quote(value));
  return [
    '#!/bin/sh',
    `# Reads at its start: ${program.restartOn.join(' ')}`,
    `{ echo $$; LC_ALL=C ps -o lstart= -p $$; } > ${quote(programPidFile(files, program.name))}`,
    `cd ${quote(program.cwd)} || exit 111`,
    'unset SUPERVISOR_ENABLED SUPERVISOR_PROCESS_NAME SUPERVISOR_GROUP_NAME SUPERVISOR_SERVER_URL',
    ...(program.clear === undefined ? [] : [`/bin/sh ${quote(clearFile(files, program.name))}`]),
    // The shell drops the newlines at the end of an output, but not those before another character.
    ...secrets.map(
      ({ file, variable }) =>
        `${variable}=$(cat ${quote(file)} && echo x) || exit 112; ${variable}=${'${'}${variable}%x}`,
    ),
    ...variables.map(([name, value]) => `export ${name}=${word(value)}`),
    `exec ${program.argv.map(quote).join(' ')}`,
    '',
  ].join('\n');
}

/** The script of `clearFile`. Undefined for a program that needs none. */
export function renderClear(program: Program): string | undefined {
  if (program.clear === undefined) return undefined;
  return ['#!/bin/sh', `exec ${program.clear.map(quote).join(' ')} > /dev/null 2>&1`, ''].join('\n');
}

/** Variables that a script exports, by name. Omits values with newlines or single quotes. */
export const scriptVariables = (script: string): Record<string, string> =>
  Object.fromEntries(
    [...script.matchAll(/^export (\w+)='([^'\n]*)'$/gm)].map(([, name = '', value = '']) => [name, value]),
  );

/** supervisord expands `%(...)s` in every value, and twice in the path of a program's log file. */
const escape = (value: string): string => value.replaceAll('%', '%%');

/** Quotes a word for a POSIX shell. */
const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
