// Installs what a command needs: npm packages (Node.js 24 is one of them) and tools.
// Run by the `pre` scripts of package.json, and by bin/greenlight.mjs: `node automation/toolchain/setup.mjs <profile> [--again]`.
// Uses Node built-ins only and runs on Node 20. Takes milliseconds if everything is installed.
import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isInstalled, packageRoot, setUpDirectory } from '../../infra/lib/place.mjs';
import { endOnSignals } from './command.mjs';
import { installDebian } from './debian.mjs';
import { inspectTool, loadTools } from './inspect.mjs';
import { clearLeftovers, goStep, installers } from './install.mjs';
import { withLock } from './lock.mjs';
import { installPackages, packagesCurrent, packagesPresent } from './packages.mjs';
import { planTools } from './plan.mjs';
import { SetupProblem, Unreachable } from './problem.mjs';
import { createProgress } from './progress.mjs';
import { usablePythons } from './python.mjs';

const root = packageRoot;
const logs = setUpDirectory();
const toolsDirectory = join(logs, 'tools');
const stampFile = join(toolsDirectory, 'setup.json');
/**
 * packages: the npm packages. operate: the same, but outdated packages are accepted, because a rollback must not wait
 * for a network. release, test: the npm packages and the tools that `tools.json` lists for the profile.
 */
const profiles = ['packages', 'operate', 'release', 'test'];
const offline = process.env['GREENLIGHT_OFFLINE'] === '1';
const progress = createProgress();
const { say } = progress;

/** Hash of the whole toolchain. If it changes, the tools are inspected again. */
function stampKey() {
  const hash = createHash('sha256');
  const folder = new URL('.', import.meta.url);
  for (const name of readdirSync(folder).toSorted()) {
    if (/\.(mjs|json|txt)$/.test(name)) hash.update(readFileSync(new URL(name, folder)));
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

/** Whether an earlier set-up found all tools of the profile, and their programs still exist. Starts no process. */
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

/** The progress step of a tool's installation. */
function stepOf({ tool, answer }) {
  const { name, source } = tool;
  const { version, seconds } = source;
  if (source.kind === 'python') return { name, what: `${version} from PyPI`, lane: 'system', seconds };
  if (answer.problem instanceof Unreachable && source.build !== undefined) return goStep(tool, answer.problem);
  return { name, what: `${version} from ${answer.opened?.archive.url.host ?? 'its publisher'}`, lane: name, seconds };
}

const leaveOut = ({ name, use }, why) => say(`  ${name.padEnd(14)} left out: ${why}. Optional: ${use}`);

/**
 * Installs in parallel, because downloads, compilers, pip and apt wait for different things. All end before a failure
 * is reported.
 */
async function installTools({ missing, leftOut, systemPackages, go, pythons }) {
  for (const { tool, lacking } of leftOut) {
    if (lacking !== undefined) leaveOut(tool, `it needs ${lacking}`);
  }
  const context = { root, logs, toolsDirectory, go, pythons };
  const system = installSystem(systemPackages);
  const install = async (inspection) => {
    const { tool, answer } = inspection;
    const { kind, python } = tool.source;
    await progress.step(stepOf(inspection), async (change) => {
      if (kind === 'python' && systemPackages.length > 0) {
        await system;
        context.pythons = usablePythons(python);
      }
      await installers[kind](tool, context, answer, change);
    });
  };
  // A failed optional tool does not stop the set-up. It is reported in one line, and by `doctor`.
  const tryTo = async (inspection) => {
    try {
      if (inspection.answer.problem !== undefined) throw inspection.answer.problem;
      await install(inspection);
    } catch (error) {
      leaveOut(inspection.tool, error.message.split('\n')[0]);
    }
  };
  const own = missing.filter(({ tool }) => tool.source.kind !== 'system');
  const results = await Promise.allSettled([
    system,
    ...own.map((inspection) => (inspection.tool.optional ? tryTo(inspection) : install(inspection))),
  ]);
  // Tools that waited for the system packages failed with the same message, which is shown once.
  const failures = new Set(results.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.message));
  if (failures.size > 0) throw new SetupProblem('setting up', `${failures.size} failed`, [...failures].join('\n'));
}

async function installSystem(packages) {
  if (packages.length === 0) return;
  const step = { name: 'system', what: `${packages.join(' ')} (no service is started)`, lane: 'system', seconds: 60 };
  await progress.step(step, () => installDebian(packages, { logs }));
}

async function setUpTools(profile, key, plan) {
  await installTools(plan);
  const tools = loadTools().filter((tool) => tool.profiles.includes(profile));
  const after = await Promise.all(tools.map((tool) => inspectTool(tool, toolsDirectory)));
  const bad = after.filter((i) => i.state !== 'good' && !i.tool.optional);
  if (bad.length > 0) {
    const lines = bad.map((i) => `${i.tool.name}: wanted ${i.wanted}, found ${i.version ?? 'none'} ${i.problem ?? ''}`);
    throw new SetupProblem('setting up', 'some tools still do not fit after the installation', lines.join('\n'));
  }
  rememberTools(profile, key, after);
}

/** The packages of an installed package are npm's matter, in the project that installed it. */
const packagesReady = () => isInstalled || packagesCurrent(root);

async function setUpPackages(profile) {
  if (packagesReady()) return;
  if (profile === 'operate' && packagesPresent(root)) {
    say(
      'The npm packages are not those of package-lock.json; continuing with the installed ones (npm ci installs the others).',
    );
    return;
  }
  await installPackages(root, { offline, logs }, progress);
}

async function planned(profile) {
  clearLeftovers(toolsDirectory);
  const tools = loadTools().filter((tool) => tool.profiles.includes(profile));
  return planTools(tools, toolsDirectory, offline);
}

async function main([profile, ...flags]) {
  if (!profiles.includes(profile))
    throw new SetupProblem('setting up', `no profile "${profile}"`, `Choose one of: ${profiles.join(', ')}`);
  const start = Date.now();
  const wantsTools = profile === 'release' || profile === 'test';
  const key = wantsTools ? stampKey() : '';
  const again = flags.includes('--again');
  const complete = () => packagesReady() && (!wantsTools || toolsKnown(profile, key));
  if (!again && complete()) return;
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  const waiting = (pid) => say(`Another set-up is running (process ${pid}); waiting for it.`);
  await withLock(join(logs, 'setup.lock'), waiting, async () => {
    if (!again && complete()) return;
    say(`Setting up for "${profile}" (once; later runs skip this)`);
    const work = wantsTools ? [setUpTools(profile, key, await planned(profile))] : [];
    const results = await Promise.allSettled([setUpPackages(profile), ...work]);
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    say(`Set up in ${((Date.now() - start) / 1000).toFixed(1)} s`);
  });
}

endOnSignals();
process.once('exit', progress.stop);
try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupProblem)) throw error;
  say(error.message);
  process.exitCode = 1;
}
