// Debian packages: the commands that install them, and the installation if this process is root.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './command.mjs';

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

/**
 * Whether the installation would create and start a PostgreSQL cluster. If `postgresql-common` is installed already,
 * its setting stays.
 */
const wouldMakeCluster = (packages) =>
  packages.some((name) => name.startsWith('postgresql')) && !isInstalled('postgresql-common');

/** The commands that a person has to run if this process is not root, one per line. */
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

/**
 * Installs Debian packages as root. Their services are not started: policy-rc.d denies it now, and they are disabled at
 * boot.
 */
export async function installDebian(packages, { logs }) {
  const doing = 'installing system packages';
  const options = { env: { DEBIAN_FRONTEND: 'noninteractive' }, log: join(logs, 'setup-system.log') };
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
}
