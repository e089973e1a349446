// Plain JavaScript, as Pulumi would compile TypeScript itself, with an old compiler; what it imports, Node.js reads by itself.
import { serve } from './pack.ts';

serve();
