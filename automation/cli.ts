import { Command } from 'commander';
import { setAside } from '../infra/lib/child-environment.ts';
import { useLittleMemory } from '../infra/lib/memory.ts';
import type { CompareOptions } from './commands/compare.ts';
import type { RunOptions } from './commands/run.ts';
import { settleProject } from './config/project.ts';
import { printError } from './ui/error.ts';
import { comparisonCodes, exitCodes } from './ui/exit-codes.ts';
import { refuseTakenByNpm } from './ui/taken-by-npm.ts';

/**
 * The command line. Each command is a file in `commands/`, which is loaded when it is called: those that release load the Pulumi
 * engine. Exit codes: `ui/exit-codes.ts`.
 */
const program = new Command('greenlight')
  .description('Zero-downtime blue/green releases of a web application and its PostgreSQL database')
  .showHelpAfterError()
  .hook('preAction', (_program, command) => settleProject(command.opts<{ config?: string }>().config));

/** Runs a command. The exit code is what it resolves to, or follows from its error. */
const run =
  <T>(load: () => Promise<(options: T) => Promise<number>>) =>
  async (options: T): Promise<void> => {
    try {
      const verb = await load();
      process.exitCode = await verb(options);
    } catch (error) {
      const code = printError(error, process.stderr, process.env);
      const { Interrupted } = await import('./commands/session.ts');
      process.exitCode = error instanceof Interrupted ? exitCodes.interrupted : code;
    }
  };

const verb = (name: string, description: string) =>
  program
    .command(name)
    .description(description)
    .option('--config <file>', 'release definition; default: greenlight.config.ts here, or in the nearest folder above')
    .option('--platform <name>', 'local or aws; default: as the definition says');

verb('release', 'release the version to production')
  .option('--dry-run', 'print the steps of the release, and change nothing')
  .option('--yes', 'approve beforehand, without a question')
  .option('--version <version>', 'version to release; default: as the definition says')
  .option('--discard-lost', 'empty a database that still has writes which a rollback with a stated loss has left there')
  .action(run(async () => (await import('./commands/release.ts')).release));
verb('rehearse', 'make the whole release on staging')
  .option('--version <version>', 'version to rehearse; default: as the definition says')
  .action(run(async () => (await import('./commands/rehearse.ts')).rehearse));
verb('rollback', 'make the old version live again, with the writes made since; possible until the clean-up')
  .option('--accept-loss', 'also where the replication back is broken, without the writes that it has not brought')
  .action(run(async () => (await import('./commands/rollback.ts')).rollback));
verb('resume', 'finish an interrupted release')
  .option('--yes', 'approve beforehand')
  .action(run(async () => (await import('./commands/resume.ts')).resume));
verb('status', 'show environments, colours, versions, traffic, replication and health').action(
  run(async () => (await import('./commands/status.ts')).status),
);
verb('run', 'run a command in the version that is live, with the variables of a service: run -- node script.js')
  .argument('<command...>', 'program and arguments, after --')
  .option('--environment <name>', 'production or staging; default: production')
  .option('--as <role>', 'role of the database that it has: app or owner; default: app')
  .option('--service <name>', 'service whose variables it has; default: the first one with a database')
  .action((command: string[], options: RunOptions) =>
    run(async () => {
      const { run: runCommand } = await import('./commands/run.ts');
      return (given: RunOptions) => runCommand(command, given);
    })(options),
  );
verb('secrets', 'show where the secrets of the application come from, and whether what runs has their values')
  .option('--rotate', 'read them again, and restart what runs with older values, one instance at a time')
  .option('--environment <name>', 'staging or production; default: both')
  .action(run(async () => (await import('./commands/secrets.ts')).secretsCommand));
verb('destroy', 'take environments down')
  .option('--environment <name>', 'staging or production; default: both')
  .option('--all', 'also delete backups and reports')
  .option('--yes', 'do not ask')
  .action(run(async () => (await import('./commands/destroy.ts')).destroy));
program
  .command('compare')
  .description('compare rows, large objects, sequences and catalog of any two databases; changes nothing')
  .argument('<left>', 'connection string, as psql takes it; a password is better in PGPASSWORD or ~/.pgpass')
  .argument('<right>', 'likewise')
  .option('--json', 'print everything as JSON')
  .option('--schema <name...>', 'only tables and sequences of these schemas; without the catalog')
  .option('--table <name...>', 'only these tables and sequences (public.lessons); without the catalog')
  .option('--jobs <number>', 'sessions on each side; default: half of the processors')
  .addHelpText('after', '\nExit code: 0 equal, 1 different, 2 not known.')
  // A mistake on the command line must not look like a difference.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : comparisonCodes.unknown))
  .action(async (left: string, right: string, options: CompareOptions) => {
    const { compare } = await import('./commands/compare.ts');
    process.exitCode = await compare(left, right, options);
  });
program
  .command('doctor')
  .description('show every tool: where it is, its version, and what to do about it')
  .action(run(async () => (await import('./commands/doctor.ts')).runDoctor));
program
  .command('init')
  .description('look at your application, and write a release definition for it')
  .option('--directory <path>', 'folder of the application; the definition is written there', '.')
  .option('--force', 'overwrite an existing one')
  .option('--yes', 'ask nothing: what was not found is marked with TODO')
  .option('--no-start', 'do not start the application to ask for its health path')
  .option('--all', 'write every key with its description instead, and look at nothing')
  .action(run(async () => (await import('./commands/init.ts')).runInit));
verb('check', 'try the version without touching anything: build, migrate, start, ask; list what a release would refuse')
  .option('--json', 'print everything as JSON')
  .action(run(async () => (await import('./commands/check.ts')).runCheck));

// The PostgreSQL client would take user, host or options of its sessions from PG variables of the shell.
setAside('PG');
// With this variable Node.js would not verify certificates.
setAside('NODE_TLS_REJECT_UNAUTHORIZED');
useLittleMemory();

const [name, ...args] = process.argv.slice(2);
try {
  const command = program.commands.find((one) => one.name() === name);
  if (command !== undefined) refuseTakenByNpm(command, args, process.env);
  await program.parseAsync();
} catch (error) {
  const code = printError(error, process.stderr, process.env);
  process.exitCode = name === 'compare' && code === exitCodes.problem ? comparisonCodes.unknown : code;
}
