import { isInstalled } from './place.mjs';

/**
 * A command of Greenlight as the user types it, for messages: `npm run release -- --yes` in Greenlight's own repository,
 * `npx greenlight release --yes` of the package. A lint rule keeps both out of all other messages.
 */
export const greenlight = (verb: string, ...options: string[]): string =>
  isInstalled
    ? ['npx greenlight', verb, ...options].join(' ')
    : [`npm run ${verb}`, ...(options.length === 0 ? [] : ['--', ...options])].join(' ');
