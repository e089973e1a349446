// How each kind of tool is installed into `.greenlight/tools`: made whole in a temporary folder, then renamed.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join, relative } from 'node:path';
import { archiveOf, openArchive, storeArchive } from './archive.mjs';
import { recordOrigin } from './origin.mjs';
import { SetupProblem, Unreachable } from './problem.mjs';
import { makeEnvironment } from './python.mjs';
import { run } from './command.mjs';

const temporary = '.tmp-';

/** What a killed set-up left behind. Only while the lock is held. */
export function clearLeftovers(toolsDirectory) {
  mkdirSync(join(toolsDirectory, 'bin'), { recursive: true });
  for (const name of readdirSync(toolsDirectory)) {
    if (name.startsWith(temporary)) rmSync(join(toolsDirectory, name), { recursive: true, force: true });
  }
}

/** Fills a temporary folder, then makes it `<name>-<version>/` and `bin/<program>` a link into it, in one rename each. */
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

const logOf = (tool, { root }) => join(root, '.greenlight', `setup-${tool.name}.log`);

/**
 * Nobody debugs these programs, and half of what a compiler allocates is worth no collection: without the two settings a
 * build takes a fifth more of the processor. The programs are the same.
 */
const goFlags = ['-trimpath', '-gcflags=all=-dwarf=false'];
const goEnvironment = { GOGC: '400' };

/** Go modules carry their checksums (go.sum, and Go's checksum database): what is built is what was published. */
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
    await makeEnvironment(tool, folder, { ...context, log: logOf(tool, context) });
    return { program: tool.name, way: 'pypi' };
  });
}

function unpack(tool, context, opened) {
  const { archive } = opened;
  return installed(tool, context, async (folder) => {
    const file = join(folder, archive.name);
    await storeArchive(opened, file);
    // On macOS, where archives are zip files, tar reads these too. Root would give the files to whoever packed them.
    const argv = ['-x', '--no-same-owner', '-f', file, '-C', folder];
    await run(`unpacking ${tool.name}`, 'tar', argv, { log: logOf(tool, context) });
    rmSync(file);
    if (!existsSync(join(folder, archive.program))) {
      const todo = 'Report this: tools.json names another path.';
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

/** Deletes the rest, so that the same programs are there whichever way the tool came. */
function keepOnly(path, folder) {
  const [top, program] = [path.split('/')[0], path.split('/').at(-1)];
  renameSync(join(folder, path), join(folder, '.kept'));
  rmSync(join(folder, top), { recursive: true, force: true });
  renameSync(join(folder, '.kept'), join(folder, program));
  return program;
}

/**
 * Whether the official archive of a tool can be had: opened, or the problem. Asked of all tools at once, before anything
 * is changed.
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

/** How a build is shown, and why it is no download. */
export const goStep = ({ name, source: { version, build } }, { doing, found }) => ({
  name,
  what: `${version} built by Go`,
  lane: 'go',
  seconds: build.seconds,
  why: `${doing}: ${found}`,
});

export const noGo = 'Go 1.26 or newer, which could build it, is not on PATH';

/** A file that is not the published one ends it: only what cannot be had is built instead. */
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
