import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { appendFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { createCluster, type ClusterSpec } from '../../infra/local/postgres/cluster.ts';
import { dataDirectory, layOut } from '../../infra/local/postgres/create.ts';
import { runSingleUser } from '../../infra/local/postgres/single-user.ts';
import { passwordStatement } from '../../infra/application/roles.ts';

/**
 * Data directories that are made once and copied: `initdb` and the roles take seconds, a copy a tenth of one. Copies share
 * the system identifier, which logical replication does not look at. A test of `createCluster` itself uses that.
 */

let own: string | undefined;

/** Where templates are kept: for a whole run where GREENLIGHT_TEST_TEMPLATES says so, else until this process ends. */
function templates(): string {
  const shared = process.env['GREENLIGHT_TEST_TEMPLATES'];
  if (shared !== undefined) return shared;
  if (own === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'greenlight-templates-'));
    // The server's user has to get through.
    chmodSync(made, 0o755);
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    own = made;
  }
  return own;
}

/** Copies the template `name` into the empty directory `data`; `make` makes it at the path it is given if there is none. */
export async function copyTemplate(name: string, data: string, make: (path: string) => Promise<void>): Promise<void> {
  await execa('cp', ['-a', `${await template(name, make)}/.`, data]);
}

/** Path of the template `name`. */
export async function template(name: string, make: (path: string) => Promise<void>): Promise<string> {
  const path = join(templates(), name);
  if (!existsSync(path)) {
    const work = `${path}.${process.pid}-${Date.now()}`;
    await make(work);
    // Another process may have been faster: its template is as good.
    await rename(work, path).catch(() => rm(work, { recursive: true }));
  }
  return path;
}

/** As `createCluster` makes it, with database and roles, from a template. */
export async function createTestCluster(spec: ClusterSpec): Promise<void> {
  await layOut(spec, async (data) => {
    await copyTemplate(`application-${spec.version ?? 'ordinary'}`, data, async (path) => {
      const whole = { ...spec, directory: `${path}.whole` };
      await createCluster(whole, { durable: false });
      await rename(dataDirectory(whole), path);
      await rm(whole.directory, { recursive: true });
      // Nothing here has to survive a power cut.
      await appendFile(join(path, 'postgresql.auto.conf'), 'fsync = off\n');
    });
    const roles = ['admin', 'owner', 'app'] as const;
    await runSingleUser(
      data,
      'postgres',
      roles.map((role) => passwordStatement(role, spec.passwords[role])),
    );
  });
}
