/** Where the engine finds the provider. Also in `Pulumi.yaml`, for the command line. */
export const pluginVersion = '0.1.0';
export const plugin = { name: 'greenlight', path: import.meta.dirname, version: pluginVersion };
