import { defineRelease } from '../../automation/config/define.ts';
import { shortRelease } from './definition.ts';
import { everyScenario } from './scenarios.ts';

/** The release definition of the drill that DRILL names; without it, a sound one. */
const scenario = everyScenario.find(({ name }) => name === process.env['DRILL']);

const definition = { ...shortRelease, ...scenario?.changes };
const { version } = definition.application;

/** It is about the version that the drill releases. */
export default defineRelease({
  ...definition,
  application: { ...definition.application, version: process.env['DRILL_VERSION'] ?? version },
});
