import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../../../infra/lib/paths.ts';

describe('the command line', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-cli-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  /** As npm runs it for a person who is in `directory`. */
  function run(...args: string[]): Promise<string> {
    const options = {
      cwd: packageRoot,
      env: { PATH: process.env['PATH'], INIT_CWD: directory, GREENLIGHT_HOME: directory },
    };
    return new Promise((resolve) => {
      execFile(process.execPath, ['automation/cli.ts', ...args], options, (_error, out, err) => resolve(out + err));
    });
  }

  it('reads the project’s own release definition in every folder, and another one from where the person is', async () => {
    expect(await run('release', '--dry-run', '--version', 'none')).to.include('"none" is not a version');
    expect(await run('release', '--dry-run', '--config', 'mine.ts')).to.include(join(directory, 'mine.ts'));
  });
});
