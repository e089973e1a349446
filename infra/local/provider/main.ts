import { main } from '@pulumi/pulumi/provider/server.js';
import { createProvider } from './adapter.ts';
import { handlers } from './types.ts';
import { pluginVersion } from './plugin.ts';

/** The provider's process: the engine starts it by the launcher beside, and ends it. */
await main(createProvider(pluginVersion, handlers), process.argv.slice(2));
