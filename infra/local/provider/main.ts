import { main } from '@pulumi/pulumi/provider/server.js';
import { createProvider } from './adapter.ts';
import { pluginVersion } from './plugin.ts';
import { handlers } from './types.ts';

/** How soon the provider notices that the engine was killed. */
const parentCheckMs = 200;

/** The provider's process: the engine starts it by the launcher beside, and ends it. It must not work on without one. */
const engine = process.ppid;
setInterval(() => {
  if (process.ppid !== engine) process.exit(1);
}, parentCheckMs).unref();

await main(createProvider(pluginVersion, handlers), process.argv.slice(2));
