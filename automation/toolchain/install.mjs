// Installs tools, each in a temporary folder that is renamed when it is complete.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { archiveOf, openArchive, storeArchive } from './archive.mjs';
import { recordOrigin } from './origin.mjs';
import { SetupProblem, Unreachable } from './problem.mjs';
import { makeEnvironment, unpackWheel } from './python.mjs';
import { run } from './command.mjs';

const temporary = '.tmp-';

/** Removes temporary folders of a killed set-up. Call it only while the lock is held. */
export function clearLeftovers(toolsDirectory) {
  mkdirSync(join(toolsDirectory, 'bin'), { recursive: true });
  for (const name of readdirSync(toolsDirectory)) {
    if (name.startsWith(temporary)) rmSync(join(toolsDirectory, name), { recursive: true, force: true });
  }
}

/** Fills a temporary folder, renames it to `<name>-<version>/`, and replaces the link `bin/<program>` atomically. */
async function installed(tool, { toolsDirectory }, fill) {
  const folder = mkdtempSync(join(toolsDirectory, temporary));
  try {
    const { program, ...origin } = await fill(folder);
    recordOrigin(folder, origin);
    const final = join(toolsDirectory, `${tool.name}-${tool.source.version}`);
    rmSync(final, { recursive: true, force: true });
    renameSync(folder, final);
    chmodSync(final, 0o755);
    const bin = join(toolsDirectory, 'bin');
    const link = join(bin, tool.programs[0]);
    const next = `${link}.${process.pid}`;
    symlinkSync(relative(bin, join(final, program)), next);
    renameSync(next, link);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const logOf = (tool, { logs }) => join(logs, `setup-${tool.name}.log`);

/**
 * No debug information, and less garbage collection in the compiler. Without the two settings a build takes a fifth
 * more processor time.
 */
const goFlags = ['-trimpath', '-gcflags=all=-dwarf=false'];
const goEnvironment = { GOGC: '400' };

/** Go verifies the modules by go.sum and by its checksum database. */
const goBuilds = {
  'go-module': ({ source, name }, folder, { root }) => ({
    argv: ['build', ...goFlags, '-ldflags', source.build.ldflags, '-o', join(folder, name), source.build.package],
    cwd: join(root, source.build.directory),
    env: goEnvironment,
  }),
  'go-install': ({ source }, folder) => ({
    argv: ['install', ...goFlags, '-ldflags', '-s -w', `${source.build.package}@v${source.version}`],
    cwd: folder,
    env: { ...goEnvironment, GOBIN: folder },
  }),
};

function build(tool, context) {
  return installed(tool, context, async (folder) => {
    const { argv, ...options } = goBuilds[tool.source.build.kind](tool, folder, context);
    await run(`building ${tool.name}`, context.go, argv, { ...options, log: logOf(tool, context) });
    return { program: tool.name, way: 'go' };
  });
}

function python(tool, context) {
  return installed(tool, context, async (folder) => {
    const options = { ...context, log: logOf(tool, context) };
    if (tool.source.hashes !== undefined) return { program: await unpackWheel(tool, folder, options), way: 'wheel' };
    await makeEnvironment(tool, folder, options);
    return { program: tool.name, way: 'pypi' };
  });
}

function unpack(tool, context, opened) {
  const { archive } = opened;
  return installed(tool, context, async (folder) => {
    const file = join(folder, archive.name);
    await storeArchive(opened, file);
    // tar of macOS also reads zip files. --no-same-owner: as root, tar would set the owner recorded in the archive.
    const argv = ['-x', '--no-same-owner', '-f', file, '-C', folder];
    await run(`unpacking ${tool.name}`, 'tar', argv, { log: logOf(tool, context) });
    rmSync(file);
    if (!existsSync(join(folder, archive.program))) {
      const todo = 'Report this: the path in tools.json is wrong.';
      throw new SetupProblem(`unpacking ${tool.name}`, `${archive.program} is not in it`, todo);
    }
    const origin = {
      way: archive.sha256 === undefined ? 'checksums' : 'pinned',
      from: archive.url.host,
      publisher: new URL(tool.source.from).host,
    };
    return { program: tool.source.programOnly ? keepOnly(archive.program, folder) : archive.program, ...origin };
  });
}

/** Keeps only the program itself, as a build by Go makes only that. */
function keepOnly(path, folder) {
  const [top, program] = [path.split('/')[0], path.split('/').at(-1)];
  renameSync(join(folder, path), join(folder, '.kept'));
  rmSync(join(folder, top), { recursive: true, force: true });
  renameSync(join(folder, '.kept'), join(folder, program));
  return program;
}

/**
 * Requests the official archive of a tool. Resolves to the opened archive or to the problem. Called for all tools at
 * once, before anything is changed.
 */
export async function askForArchive({ name, source }) {
  try {
    const archive = archiveOf(source);
    if (archive !== undefined) return { opened: await openArchive(archive) };
    const here = `${process.platform}-${process.arch}`;
    return {
      problem: new Unreachable(`installing ${name}`, `no binary is published for ${here}`, 'It has to be built.'),
    };
  } catch (problem) {
    if (!(problem instanceof SetupProblem)) throw problem;
    return { problem };
  }
}

/** The progress step of a build, and why it is not a download. */
export const goStep = ({ name, source: { version, build } }, { doing, found }) => ({
  name,
  what: `${version} built by Go`,
  lane: 'go',
  seconds: build.seconds,
  why: `${doing}: ${found}`,
});

export const noGo = 'Go 1.26 or newer, which could build it, is not on PATH';

/** Installs from the archive. Builds the tool only if the archive is unreachable, not if it is the wrong file. */
async function archive(tool, context, { opened, problem }, change) {
  const { build: fallback } = tool.source;
  let why = problem;
  if (opened !== undefined) {
    try {
      return await unpack(tool, context, opened);
    } catch (error) {
      why = error;
    }
  }
  if (!(why instanceof Unreachable) || fallback === undefined) throw why;
  if (context.go === undefined)
    throw new SetupProblem(why.doing, `${why.found}, and ${noGo}`, `By hand: ${tool.byHand}`);
  if (opened !== undefined) change(goStep(tool, why));
  return build(tool, context);
}

export const installers = { python, archive };
