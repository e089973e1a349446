// How each kind of tool is installed into `.greenlight/tools`: made whole in a temporary folder, then renamed.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { findProgram, searchPath } from '../../infra/lib/search.mjs';
import { download } from './download.mjs';
import { isWanted } from './inspect.mjs';
import { SetupProblem } from './problem.mjs';
import { run, say } from './step.mjs';

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
    const program = await fill(folder);
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

/** Go modules carry their checksums (go.sum, and Go's checksum database): what is built is what was published. */
function goModule(tool, context) {
  const { directory, ldflags, package: name } = tool.source;
  return installed(tool, context, async (folder) => {
    const argv = ['build', '-trimpath', '-ldflags', ldflags, '-o', join(folder, tool.name), name];
    await run(`building ${tool.name}`, context.go, argv, {
      cwd: join(context.root, directory),
      log: logOf(tool, context),
    });
    return tool.name;
  });
}

function goInstall(tool, context) {
  return installed(tool, context, async (folder) => {
    const argv = ['install', '-trimpath', '-ldflags', '-s -w', `${tool.source.package}@v${tool.source.version}`];
    await run(`building ${tool.name}`, context.go, argv, {
      cwd: folder,
      env: { GOBIN: folder },
      log: logOf(tool, context),
    });
    return tool.name;
  });
}

/** Interpreters in a version that `range` allows and that can make virtual environments, best first. */
export function usablePythons(range) {
  const directories = searchPath('/nonexistent').filter((directory) => !directory.includes('postgresql'));
  const paths = ['python3', 'python3.12', 'python3.11', 'python3.10'].map((name) => findProgram(name, directories));
  const probe = 'import ensurepip, ssl, sys, venv; print("%d.%d" % sys.version_info[:2])';
  return [...new Set([...paths, '/usr/bin/python3'])].filter((path) => {
    if (path === undefined || !existsSync(path)) return false;
    try {
      return isWanted(execFileSync(path, ['-c', probe], { stdio: 'pipe', timeout: 20_000 }).toString().trim(), range);
    } catch {
      return false;
    }
  });
}

function python(tool, context) {
  const { package: name, version, entry, constraints } = tool.source;
  const log = logOf(tool, context);
  return installed(tool, context, async (folder) => {
    const venv = join(folder, 'venv');
    const inside = join(venv, 'bin', 'python3');
    await firstThatWorks(context.pythons, async (interpreter) => {
      rmSync(venv, { recursive: true, force: true });
      await run('making a Python environment', interpreter, ['-m', 'venv', venv], { log });
      // Some self-built Pythons have TLS, but not in a virtual environment.
      await run('checking the Python environment', inside, ['-c', 'import pip, ssl'], { log });
    });
    const pinned = ['-c', join(context.root, constraints), `${name}==${version}`];
    const argv = ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', '--quiet', ...pinned];
    await run(`installing ${tool.name}`, inside, argv, { log });
    // pip's own launcher holds an absolute path, which the rename would break.
    const start = `import sys; sys.argv[0] = "${tool.name}"; ${entry}; sys.exit(main())`;
    const launcher = `#!/bin/sh\nexec "$(dirname "$(readlink -f "$0")")/venv/bin/python3" -I -c '${start}' "$@"\n`;
    writeFileSync(join(folder, tool.name), launcher, { mode: 0o755 });
    return tool.name;
  });
}

async function firstThatWorks(candidates, attempt) {
  let last;
  for (const candidate of candidates) {
    try {
      return await attempt(candidate);
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

function archive(tool, context) {
  return installed(tool, context, async (folder) => {
    const file = join(folder, 'archive.tar.gz');
    await download(tool.source, file);
    await run(`unpacking ${tool.name}`, 'tar', ['-xzf', file, '-C', folder], { log: logOf(tool, context) });
    rmSync(file);
    if (!existsSync(join(folder, tool.source.program))) {
      throw new SetupProblem(
        `unpacking ${tool.name}`,
        `${tool.source.program} is not in it`,
        'Report this: the pinned entry is wrong.',
      );
    }
    return tool.source.program;
  });
}

export const installers = { 'go-module': goModule, 'go-install': goInstall, python, archive };

const postgresqlCommon = '/etc/postgresql-common';
const noCluster = 'create_main_cluster = false';
const servicesOff = '/usr/sbin/policy-rc.d';
const debianServices = ['haproxy', 'prometheus', 'prometheus-alertmanager', 'supervisor'];

const isInstalled = (name) => {
  try {
    return execFileSync('dpkg-query', ['-W', '-f=${Status}', name], { stdio: 'pipe' })
      .toString()
      .includes('ok installed');
  } catch {
    return false;
  }
};

/** Whether Debian's package would make and start a database cluster of its own; not our business once it is installed. */
const wouldMakeCluster = (packages) =>
  packages.some((name) => name.startsWith('postgresql')) && !isInstalled('postgresql-common');

/** What a person without the rights to install packages has to have run, line by line. */
export function debianCommands(packages) {
  const services = debianServices.filter((name) => packages.includes(name));
  return [
    ...(wouldMakeCluster(packages)
      ? [`sudo mkdir -p ${postgresqlCommon}`, `echo '${noCluster}' | sudo tee ${postgresqlCommon}/createcluster.conf`]
      : []),
    'sudo apt-get update',
    `sudo apt-get install -y --no-install-recommends ${packages.join(' ')}`,
    ...(services.length > 0 ? [`sudo systemctl disable --now ${services.join(' ')}`] : []),
  ];
}

/** Installs Debian packages as root. None of the services in them is started, now or at boot. */
export async function installDebian(packages, { root }) {
  const doing = 'installing system packages';
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, log: join(root, '.greenlight', 'setup-system.log') };
  if (wouldMakeCluster(packages)) {
    mkdirSync(postgresqlCommon, { recursive: true });
    writeFileSync(join(postgresqlCommon, 'createcluster.conf'), `${noCluster}\n`);
  }
  const services = debianServices.filter((name) => packages.includes(name));
  const policy = !existsSync(servicesOff);
  if (policy) writeFileSync(servicesOff, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await run(doing, 'apt-get', ['update', '-q'], options);
    await run(doing, 'apt-get', ['install', '-q', '-y', '--no-install-recommends', ...packages], options);
    if (existsSync('/run/systemd/system') && services.length > 0) {
      await run(doing, 'systemctl', ['disable', ...services], options);
    }
  } finally {
    if (policy) rmSync(servicesOff, { force: true });
  }
  say(`  ${'system'.padEnd(14)} installed, services not started: ${packages.join(' ')}`);
}
