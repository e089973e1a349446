#!/usr/bin/env node
// The command `greenlight` of the package. Runs on the caller's Node 20: sets up what the command needs, then runs it on Node 24.
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const above = join(dirname(fileURLToPath(import.meta.url)), '..');
const root = existsSync(join(above, 'dist')) ? join(above, 'dist') : above;
const cli = ['js', 'ts']
  .map((extension) => join(root, 'automation', `cli.${extension}`))
  .find((file) => existsSync(file));

/** What of the set-up a command needs: what its `pre` script in package.json says. */
function profileOf(verb) {
  if (verb === 'setup') return 'release';
  const { scripts } = JSON.parse(readFileSync(join(above, 'package.json'), 'utf8'));
  const [name] = Object.entries(scripts).find(([, text]) => text.endsWith(`automation/cli.ts ${verb}`)) ?? [];
  return /setup\.mjs (\w+)/.exec(scripts[`pre${name}`])?.[1];
}

const passed = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/** The Node.js 24 of this package, or the one that runs this program if it is one. */
function findNode() {
  try {
    const found = join(dirname(createRequire(import.meta.url).resolve('node/package.json')), 'bin', 'node');
    if (existsSync(found)) return found;
  } catch {
    // The package `node` is not installed.
  }
  return process.versions.node.startsWith('24.') ? process.execPath : undefined;
}

/** Whether Ctrl-C reaches the program without this one: a terminal sends it to both. */
function hasTerminal() {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** Runs one program as this one: same arguments, environment, terminal and signals. Resolves to how it ended. */
function run(argv, stdio) {
  // As for every command of npm's, paths are relative to where it runs. npm gives the caller's folder for its own scripts only.
  const child = spawn(node, argv, { stdio, env: { ...process.env, INIT_CWD: process.cwd() } });
  const pass = (signal) => (signal === 'SIGINT' && hasTerminal()) || child.kill(signal);
  for (const signal of passed) process.on(signal, pass);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const one of passed) process.removeListener(one, pass);
      resolve({ code, signal });
    });
  });
}

async function main(args) {
  const [verb] = args;
  const asksForHelp = args.includes('--help') || args.includes('-h');
  const profile = asksForHelp ? undefined : profileOf(verb);
  if (profile !== undefined) {
    const setUp = [
      join(root, 'automation', 'toolchain', 'setup.mjs'),
      profile,
      ...(verb === 'setup' ? ['--again'] : []),
    ];
    // Its output is no part of what the command prints.
    const done = await run(setUp, ['ignore', 2, 2]);
    if (done.code !== 0 || verb === 'setup') return done;
  }
  return run([cli, ...args], 'inherit');
}

const node = findNode();
if (node === undefined) {
  process.stderr
    .write(`starting Greenlight: its Node.js 24 is not there, as npm has not run the install script of the package "node"
  Run it: npm rebuild node --ignore-scripts=false
  Where npm wants it approved first: npm approve-scripts node. Any Node.js 24 will do as well; this one is ${process.version}.
`);
  process.exitCode = 1;
} else {
  const { code, signal } = await main(process.argv.slice(2));
  // As the program did not handle the signal, this one does not either.
  if (signal !== null) process.kill(process.pid, signal);
  else process.exitCode = code;
}
