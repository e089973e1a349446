import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plantedFaults, type PlantedFault } from './planted-faults.ts';

/**
 * Builds the sample as its own build does, then makes the mistake that DRILL_PLANT names, from 2.0.0 on. Fails where
 * the text to change is not there exactly as often as expected: a drill without its fault would prove nothing.
 */
const out = process.env['GREENLIGHT_OUT'] ?? '';
const version = process.env['GREENLIGHT_VERSION'] ?? '';
const name = process.env['DRILL_PLANT'] ?? '';

const { status } = spawnSync(process.execPath, ['examples/think-in-coin/build.ts'], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
if (!version.startsWith('1.')) {
  const fault: PlantedFault | undefined = plantedFaults[name];
  if (fault === undefined) throw new Error(`there is no fault "${name}" to plant`);
  for (const mistake of [fault, ...(fault.also ?? [])]) plant(mistake);
  for (const [file, sql] of Object.entries(fault.migrations ?? {})) writeFileSync(join(out, 'migrations', file), sql);
}

function plant({ files, find, put }: PlantedFault): void {
  for (const file of files) {
    const path = join(out, file);
    const parts = readFileSync(path, 'utf8').split(find);
    if (parts.length !== 2) throw new Error(`${file} has "${find}" ${parts.length - 1} times, not once`);
    writeFileSync(path, parts.join(put));
  }
}
