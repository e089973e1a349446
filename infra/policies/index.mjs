// Plain JavaScript, because Pulumi would compile a TypeScript entry point with an old compiler. Node.js runs the
// imported TypeScript directly.
import { serve } from './pack.ts';

serve();
