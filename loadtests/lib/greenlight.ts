/**
 * What a journey needs to keep Greenlight's contract, whatever the application: the load from the environment (see
 * `settings.ts`), one line per acknowledged write and per failed request, a summary by endpoint and colour, and load from
 * several processes or machines at once.
 */
export { journeyOptions, nextVisit, startTogether } from './plan.ts';
export { send, type Call } from './send.ts';
export { summary } from './summary.ts';
