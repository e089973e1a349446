import { endWithEngine } from '../parent.ts';
import { createProvider } from '../provider.ts';
import { serve } from '../serve.ts';
import { Account } from './account.ts';
import { table } from './table.ts';

endWithEngine();
// The version of the package whose plug-in it replaces.
await serve(createProvider({ name: 'aws', version: '7.48.0' }, table, new Account()));
