// Everything that a fresh clone needs before a command can run: npm packages (Node 24 among them), then tools.
// Run by the `pre` scripts of package.json: `node automation/toolchain/setup.mjs <profile> [--again]`.
// Node built-ins only, and Node 20 is enough. Costs milliseconds when all is there.
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { findProgram, searchPath } from '../../infra/lib/search.mjs';
import { inspectTool, loadTools } from './inspect.mjs';
import { clearLeftovers, debianCommands, installDebian, installers, usablePythons } from './install.mjs';
import { withLock } from './lock.mjs';
import { installPackages, packagesCurrent, packagesPresent } from './packages.mjs';
import { SetupProblem } from './problem.mjs';
import { endOnSignals, say, timed } from './step.mjs';

const root = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..', '..');
const toolsDirectory = join(root, '.greenlight', 'tools');
const stampFile = join(toolsDirectory, 'setup.json');
/**
 * packages: what a command that inspects needs. operate: a rollback must not wait for a network, so packages that
 * are a little old are good enough. release, test: packages, and every tool that `tools.json` lists for it.
 */
const profiles = ['packages', 'operate', 'release', 'test'];
const offline = process.env['GREENLIGHT_OFFLINE'] === '1';

/** Changes with the pinned list and with the code that installs. */
function stampKey() {
  const hash = createHash('sha256');
  for (const name of ['tools.json', 'install.mjs', 'inspect.mjs', 'wapiti-constraints.txt', 'moto-constraints.txt']) {
    hash.update(readFileSync(new URL(name, import.meta.url)));
  }
  return hash.digest('hex');
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    return {};
  }
}

/** Whether an earlier set-up found all tools of the profile and their programs are still there. Starts no process. */
function toolsKnown(profile, key) {
  const stamp = readStamp()[profile];
  if (stamp?.key !== key) return false;
  try {
    for (const path of stamp.paths) accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function rememberTools(profile, key, inspections) {
  const paths = inspections.filter((i) => i.state === 'good').flatMap((i) => Object.values(i.paths));
  const next = `${stampFile}.${process.pid}`;
  writeFileSync(next, JSON.stringify({ ...readStamp(), [profile]: { key, paths } }, null, 2));
  renameSync(next, stampFile);
}

/** What is missing and cannot be installed from here: told all at once, before anything is changed. */
function blockers({ missing, systemPackages, go, pythons }) {
  const lines = [];
  const names = missing.map((i) => `${i.tool.name} ${i.wanted}${i.problem ? ` (${i.problem})` : ''}`).join(', ');
  if (offline && missing.length > 0) return [`GREENLIGHT_OFFLINE=1 forbids downloads. Missing: ${names}`];
  const apt = findProgram('apt-get', searchPath(toolsDirectory));
  if (systemPackages.length > 0 && (apt === undefined || process.getuid?.() !== 0)) {
    if (apt !== undefined) lines.push('System packages need root. Run:', ...debianCommands(systemPackages));
    else lines.push('Install these with your package manager. With Homebrew:', ...homebrewCommands(missing));
  }
  const fromGo = missing.filter((i) => i.tool.source.kind.startsWith('go-'));
  if (fromGo.length > 0 && go === undefined) {
    lines.push(
      'Go 1.26 or newer builds these, and is not on PATH. Install it (https://go.dev/dl/), or the tools themselves:',
    );
    lines.push(...fromGo.map((i) => `${i.tool.name}: ${i.tool.byHand}`));
  }
  if (missing.some((i) => i.tool.source.kind === 'python') && pythons.length === 0 && apt === undefined) {
    lines.push('Wapiti and moto need Python 3.10, 3.11 or 3.12 with venv: brew install python@3.12');
  }
  return lines;
}

const homebrewCommands = (missing) =>
  missing.filter((i) => i.tool.source.kind === 'system').map((i) => `brew install ${i.tool.source.homebrew}`);

async function installTools(missing, context) {
  const { systemPackages } = context;
  if (systemPackages.length > 0) {
    await timed('system', `installing ${systemPackages.join(' ')}`, 60, () => installDebian(systemPackages, context));
  }
  const own = missing.filter((i) => i.tool.source.kind !== 'system');
  const python = own.find((i) => i.tool.source.kind === 'python');
  if (python !== undefined) context.pythons = usablePythons(python.tool.source.python);
  // In parallel: compilers, pip and downloads wait for different things. All end before a failure is told.
  const results = await Promise.allSettled(
    own.map(({ tool }) =>
      timed(tool.name, `${tool.source.version} from ${originOf[tool.source.kind]}`, tool.source.expectedSeconds, () =>
        installers[tool.source.kind](tool, context),
      ),
    ),
  );
  const failures = results.filter((r) => r.status === 'rejected').map((r) => r.reason.message);
  if (failures.length > 0) throw new SetupProblem('setting up', `${failures.length} failed`, failures.join('\n'));
}

const originOf = {
  'go-module': 'Go modules',
  'go-install': 'Go modules',
  python: 'PyPI',
  archive: 'its official release',
};

/** Optional tools never stop a set-up: what cannot be had is said in a line, and `doctor` says it again. */
async function installOptional(wanting, context) {
  for (const { tool } of wanting) {
    if (offline) continue;
    if (tool.needs !== undefined && findProgram(tool.needs, searchPath(toolsDirectory)) === undefined) {
      say(`  ${tool.name.padEnd(14)} left out: it needs ${tool.needs}. Optional: ${tool.use}`);
      continue;
    }
    try {
      await installTools([{ tool }], { ...context, systemPackages: [] });
    } catch (error) {
      const why = error.message.split('\n')[1]?.trim();
      say(`  ${tool.name.padEnd(14)} left out: ${why}. Optional: ${tool.use}`);
    }
  }
}

async function setUpTools(profile, key) {
  clearLeftovers(toolsDirectory);
  const tools = loadTools().filter((tool) => tool.profiles.includes(profile));
  const before = await Promise.all(tools.map((tool) => inspectTool(tool, toolsDirectory)));
  const missing = before.filter((i) => i.state !== 'good' && !i.tool.optional);
  const python = missing.find((i) => i.tool.source.kind === 'python');
  const pythons = python === undefined ? [] : usablePythons(python.tool.source.python);
  const systemPackages = missing.filter((i) => i.tool.source.kind === 'system').map((i) => i.tool.source.debian);
  if (python !== undefined && pythons.length === 0) systemPackages.push(python.tool.source.debian);
  const go = findProgram('go', searchPath(toolsDirectory));
  const context = { root, toolsDirectory, systemPackages, go, pythons };
  const stop = blockers({ missing, systemPackages, go, pythons });
  if (stop.length > 0)
    throw new SetupProblem('setting up', 'some tools are missing; nothing was changed', stop.join('\n'));
  await installTools(missing, context);
  await installOptional(
    before.filter((i) => i.state !== 'good' && i.tool.optional),
    context,
  );
  const after = await Promise.all(tools.map((tool) => inspectTool(tool, toolsDirectory)));
  const bad = after.filter((i) => i.state !== 'good' && !i.tool.optional);
  if (bad.length > 0) {
    const lines = bad.map((i) => `${i.tool.name}: wanted ${i.wanted}, found ${i.version ?? 'none'} ${i.problem ?? ''}`);
    throw new SetupProblem('setting up', 'some tools still do not fit after the installation', lines.join('\n'));
  }
  rememberTools(profile, key, after);
}

async function setUpPackages(profile) {
  if (packagesCurrent(root)) return;
  if (profile === 'operate' && packagesPresent(root)) {
    say('The npm packages are not those of package-lock.json; going on with what is there (npm ci installs them).');
    return;
  }
  await installPackages(root, offline);
}

async function main([profile, ...flags]) {
  if (!profiles.includes(profile))
    throw new SetupProblem('setting up', `no profile "${profile}"`, `Choose one of: ${profiles.join(', ')}`);
  const start = Date.now();
  const wantsTools = profile === 'release' || profile === 'test';
  const key = wantsTools ? stampKey() : '';
  const again = flags.includes('--again');
  const complete = () => packagesCurrent(root) && (!wantsTools || toolsKnown(profile, key));
  if (!again && complete()) return;
  mkdirSync(join(root, '.greenlight'), { recursive: true, mode: 0o700 });
  const waiting = (pid) => say(`Another set-up is running (process ${pid}); waiting for it.`);
  await withLock(join(root, '.greenlight', 'setup.lock'), waiting, async () => {
    if (!again && complete()) return;
    say(`Setting up for "${profile}" (once; later runs skip this)`);
    await setUpPackages(profile);
    if (wantsTools) await setUpTools(profile, key);
    say(`Set up in ${((Date.now() - start) / 1000).toFixed(1)} s`);
  });
}

endOnSignals();
try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupProblem)) throw error;
  say(error.message);
  process.exitCode = 1;
}
