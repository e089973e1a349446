import { delimiter, join } from 'node:path';

/** Where the engine finds the stand-ins, as `pulumi-resource-<name>`. */
export const pluginDirectory = join(import.meta.dirname, 'bin');

export interface PluginEnvironment {
  /** Of the emulated account. */
  endpoint: string;
  region: string;
  /** False: nothing runs behind the account, so nothing is waited for. */
  waits: boolean;
}

/**
 * Environment of an engine that works on an emulated account. Plug-ins on PATH are taken whatever version a package asks for,
 * before any installed one, and with a warning; PULUMI_IGNORE_AMBIENT_PLUGINS would forbid it.
 */
export const pluginEnvironment = ({ endpoint, region, waits }: PluginEnvironment): Record<string, string> => ({
  PATH: [pluginDirectory, process.env['PATH'] ?? ''].join(delimiter),
  PULUMI_IGNORE_AMBIENT_PLUGINS: '',
  // A missing plug-in is an error at once, and never a download.
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
  AWS_ENDPOINT_URL: endpoint,
  AWS_ACCESS_KEY_ID: 'AKIAEMULATED',
  AWS_SECRET_ACCESS_KEY: 'emulated',
  AWS_REGION: region,
  GREENLIGHT_TEST_NO_WAIT: waits ? '' : '1',
});
