import { text } from 'node:stream/consumers';
import type { EnvironmentSpec } from '../../model.ts';
import { declareAll } from './mocks.ts';
import type { AwsSettings } from '../lib/settings.ts';

/**
 * The child process of `declareApart`: reads the request from stdin and writes the declared resources to stdout, both
 * JSON.
 */
const { spec, settings } = JSON.parse(await text(process.stdin)) as { spec: EnvironmentSpec; settings: AwsSettings };
process.stdout.write(JSON.stringify(await declareAll(spec, settings)));
