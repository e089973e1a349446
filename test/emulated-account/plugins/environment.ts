import { delimiter, join } from 'node:path';

/** Directory in which the engine finds the stand-ins, as `pulumi-resource-<name>`. */
export const pluginDirectory = join(import.meta.dirname, 'bin');

export interface PluginEnvironment {
  /** URL of the emulated account. */
  endpoint: string;
  region: string;
  /** False: nothing runs behind the account, so there is nothing to wait for. */
  waits: boolean;
}

/**
 * Environment variables for an engine that works on an emulated account. Plug-ins on PATH take precedence over
 * installed ones, whatever version a package asks for, and cause a warning. PULUMI_IGNORE_AMBIENT_PLUGINS would forbid
 * that.
 */
export const pluginEnvironment = ({ endpoint, region, waits }: PluginEnvironment): Record<string, string> => ({
  PATH: [pluginDirectory, process.env['PATH'] ?? ''].join(delimiter),
  PULUMI_IGNORE_AMBIENT_PLUGINS: '',
  // A missing plug-in is an error at once instead of a download.
  PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: 'true',
  AWS_ENDPOINT_URL: endpoint,
  AWS_ACCESS_KEY_ID: 'AKIAEMULATED',
  AWS_SECRET_ACCESS_KEY: 'emulated',
  AWS_REGION: region,
  GREENLIGHT_TEST_NO_WAIT: waits ? '' : '1',
});
