import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How one command reaches a release that runs in another terminal: a file in its directory. */
const rollbackFile = (releaseDirectory: string): string => join(releaseDirectory, 'rollback.requested');

export const requestRollback = (releaseDirectory: string): void => writeFileSync(rollbackFile(releaseDirectory), '');
export const withdrawRequest = (releaseDirectory: string): void =>
  rmSync(rollbackFile(releaseDirectory), { force: true });
export const rollbackRequested = (releaseDirectory: string): boolean => existsSync(rollbackFile(releaseDirectory));
