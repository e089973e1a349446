import { main } from '@pulumi/pulumi/provider/server.js';
import { createProvider } from './adapter.ts';
import { pluginVersion } from './plugin.ts';
import { handlers } from './types.ts';

/** How often to check that the engine is running, ms. */
const parentCheckMs = 200;

// The engine starts this program through `pulumi-resource-greenlight` and ends it. If the engine is killed, it must not
// continue.
const engine = process.ppid;
setInterval(() => {
  if (process.ppid !== engine) process.exit(1);
}, parentCheckMs).unref();

await main(createProvider(pluginVersion, handlers), process.argv.slice(2));
