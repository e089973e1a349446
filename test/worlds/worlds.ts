import { djangoWorld } from './django.ts';
import { gitlabWorld } from './gitlab.ts';
import { odooWorld } from './odoo.ts';
import { pagilaWorld } from './pagila.ts';
import { pgbenchWorld } from './pgbench.ts';
import { railsWorld } from './rails.ts';
import type { World } from './world.ts';

/** In the order in which they run. */
export const worlds: readonly World[] = [pgbenchWorld, pagilaWorld, djangoWorld, railsWorld, odooWorld, gitlabWorld];
