import type { Stage } from '../context/stage.ts';
import { approval } from './approval.ts';
import { backup } from './backup.ts';
import { bake } from './bake.ts';
import { build } from './build.ts';
import { canary } from './canary.ts';
import { cleanup } from './cleanup.ts';
import { cutover } from './cutover.ts';
import { preflight } from './preflight.ts';
import { prepare } from './prepare.ts';
import { staging } from './staging.ts';

/** The stages of a release, in their one order. */
export const stages: readonly Stage[] = [
  preflight,
  build,
  staging,
  backup,
  prepare,
  approval,
  canary,
  cutover,
  bake,
  cleanup,
];
