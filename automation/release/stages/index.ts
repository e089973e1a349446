import type { Release } from '../context/release.ts';
import type { Stage } from '../context/stage.ts';
import { approval, guardedApproval } from './approval.ts';
import { backup, backupLater } from './backup.ts';
import { bake, firstBake, rehearsedBake } from './bake.ts';
import { build } from './build.ts';
import { canary, noCanary } from './canary.ts';
import { cleanup, firstCleanup } from './cleanup.ts';
import { cutover, openEntryPoint } from './cutover.ts';
import { preflight } from './preflight.ts';
import { prepare, prepareFirst } from './prepare.ts';
import { oldOnStaging, staging } from './staging.ts';

/** The stages of a release, in their one order. Each kind has all ten: what it does not do says so. */
export function stagesFor(release: Release): readonly Stage[] {
  switch (release.kind) {
    case 'go-live':
      return [
        preflight(release),
        build(release),
        staging(release),
        backupLater,
        prepareFirst(release),
        approval(release),
        noCanary,
        openEntryPoint(release),
        firstBake(release),
        firstCleanup(release),
      ];
    case 'release':
      return [
        preflight(release),
        build(release),
        staging(release),
        backup(release),
        prepare(release),
        guardedApproval(release, release.definition.approval),
        canary(release),
        cutover(release),
        bake(release),
        cleanup(release),
      ];
    // On staging nobody has to agree, and the old version has to be put there first.
    case 'rehearsal':
      return [
        preflight(release),
        build(release),
        oldOnStaging(release),
        backup(release),
        prepare(release),
        guardedApproval(release, 'auto'),
        canary(release),
        cutover(release),
        rehearsedBake(release),
        cleanup(release),
      ];
  }
}
