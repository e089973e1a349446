/** Name, location and version of the provider. `Pulumi.yaml` has them too, for the command line. */
export const pluginVersion = '0.1.0';
export const plugin = { name: 'greenlight', path: import.meta.dirname, version: pluginVersion };
