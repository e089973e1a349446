import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The sample, with a queue in its database. */
const built = spawnSync(process.execPath, ['examples/think-in-coin/build.ts'], { stdio: 'inherit', env: process.env });
const queue = (name: string) =>
  `CREATE TABLE ${name}_jobs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, done boolean NOT NULL DEFAULT false);`;
writeFileSync(
  join(process.env['GREENLIGHT_OUT'] as string, 'migrations', '001_queue.sql'),
  `${queue('table')}\n${queue('file')}
CREATE TABLE results (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job bigint NOT NULL, worker int NOT NULL);\n`,
);
process.exit(built.status ?? 1);
