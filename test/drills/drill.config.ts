import { defineRelease } from '../../automation/config/define.ts';
import { shortRelease } from './definition.ts';
import { everyScenario } from './scenarios.ts';

/** The release definition of the drill that DRILL names; without it, a sound one. */
const scenario = everyScenario.find(({ name }) => name === process.env['DRILL']);

export default defineRelease({ ...shortRelease, ...scenario?.changes });
