import { join } from 'node:path';
import { socketPath } from '../lib/socket-path.ts';

/**
 * Texts that supervisord reads, as pure functions. A program's environment and arguments are not in them but in a
 * shell script of its own (0600) that replaces itself by the program: supervisord's format has no way to write a value with
 * quotes, newlines or ` ;`, and what is in the script is neither in an argument list nor in supervisord's answers.
 */

export type Probe =
  | { kind: 'none' }
  | { kind: 'tcp'; port: number }
  /** Ready when it answers with 200. `caFile`: the authority to trust for https. */
  | { kind: 'http'; url: string; caFile?: string };

/** A process that supervisord keeps alive. */
export interface Program {
  /** `api.blue.1`: also the name of its files. */
  name: string;
  argv: string[];
  env: Record<string, string>;
  cwd: string;
  ready: Probe;
  readySeconds: number;
  stopSignal: 'TERM' | 'INT' | 'QUIT' | 'USR1';
  /** After so many seconds it is killed. */
  stopSeconds: number;
  /** Whether the stop signal goes to its children too: right for programs that do not pass it on themselves. */
  stopGroup: boolean;
  /** Its log is rotated at this size; two older ones are kept. */
  logMegabytes: number;
  /** Hashes of what it reads at its start besides: another one is another program. */
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
export const programPidFile = (files: SupervisorFiles, name: string): string =>
  join(files.directory, 'run', `${name}.pid`);
export const programLog = (files: SupervisorFiles, name: string): string => join(files.logs, `${name}.log`);

export const socketFile = (files: SupervisorFiles): string => socketPath(files.directory, 'supervisor.sock');

/** `supervisord.conf`: no network listener; the socket is for its owner alone. */
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

/** `conf.d/<name>.conf`. A program counts as started after a second; a crash loop ends after ten tries (about a minute). */
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
 * The script that becomes the program. It records its pid and start time first, so that a process whose supervisor was
 * killed can be found again and told from another that got the same pid.
 */
export function renderScript(files: SupervisorFiles, program: Program): string {
  const variables = Object.entries(program.env).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    '#!/bin/sh',
    `# Reads at its start: ${program.restartOn.join(' ')}`,
    `{ echo $$; LC_ALL=C ps -o lstart= -p $$; } > ${quote(programPidFile(files, program.name))}`,
    `cd ${quote(program.cwd)} || exit 111`,
    'unset SUPERVISOR_ENABLED SUPERVISOR_PROCESS_NAME SUPERVISOR_GROUP_NAME SUPERVISOR_SERVER_URL',
    ...variables.map(([name, value]) => `export ${name}=${quote(value)}`),
    `exec ${program.argv.map(quote).join(' ')}`,
    '',
  ].join('\n');
}

/** Values of variables that a script sets, by name; only those that are one line without a quote. */
export const scriptVariables = (script: string): Record<string, string> =>
  Object.fromEntries(
    [...script.matchAll(/^export (\w+)='([^'\n]*)'$/gm)].map(([, name = '', value = '']) => [name, value]),
  );

/** supervisord expands `%(...)s` in every value, and in a program's log file twice. */
const escape = (value: string): string => value.replaceAll('%', '%%');

/** A word that a POSIX shell takes as it stands. */
const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;
