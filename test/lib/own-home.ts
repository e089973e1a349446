import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Sets GREENLIGHT_HOME; returns what sets it back to what it was. */
export function moveHome(home: string): () => void {
  const before = process.env['GREENLIGHT_HOME'];
  process.env['GREENLIGHT_HOME'] = home;
  return () => {
    if (before === undefined) delete process.env['GREENLIGHT_HOME'];
    else process.env['GREENLIGHT_HOME'] = before;
  };
}

/** Gives each test of the suite that calls it a new, empty GREENLIGHT_HOME. */
export function eachWithOwnHome(): void {
  let end: () => void;
  beforeEach(() => {
    const home = mkdtempSync(join(tmpdir(), 'greenlight-home-'));
    const back = moveHome(home);
    end = () => {
      back();
      rmSync(home, { recursive: true, force: true });
    };
  });
  afterEach(() => end());
}
