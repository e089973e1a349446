import { extname, join } from 'node:path';
import type { Layout } from '../lib/layout.ts';
import { recordFile } from './record.ts';
import type { GuardSettings } from './settings.ts';

/** Program and arguments of a guard. The command's secrets are in variables, never here. */
export const guardCommand = (layout: Layout, of: Omit<GuardSettings, 'turnFile' | 'recordFile'>): string[] => {
  const files = { turnFile: layout.workersFile(), recordFile: recordFile(layout.workers(), of.name) };
  const program = join(import.meta.dirname, `guard${extname(import.meta.filename)}`);
  return [process.execPath, program, `--settings=${JSON.stringify({ ...of, ...files })}`];
};
