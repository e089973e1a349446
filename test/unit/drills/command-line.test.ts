import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../../infra/lib/paths.ts';

/** Nothing is begun by these: a drill that began would not end within the time of a test. */
function drill(args: string[], env: Record<string, string> = {}): Promise<{ code: unknown; output: string }> {
  return new Promise((resolve) => {
    const program = join(packageRoot, 'test/drills/main.ts');
    const options = { env: { PATH: process.env['PATH'], ...env }, timeout: 30_000 };
    execFile(process.execPath, [program, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    );
  });
}

describe('the command line of the drills', () => {
  it('explains itself', async () => {
    const { code, output } = await drill(['--help']);
    expect(code).to.equal(0);
    expect(output)
      .to.match(/--only.*some of them/)
      .and.to.match(/--keep.*keep it/);
    expect(output)
      .to.match(/all \d+ drills, about \d+ minutes/)
      .and.to.match(/Drills: .*load/);
  });

  it('refuses what it does not know, without a stack trace', async () => {
    const unknown = await drill(['--onyl', 'load']);
    expect(unknown.code).to.equal(1);
    expect(unknown.output).to.include("unknown option '--onyl'").and.to.include('Did you mean --only');
    const strange = await drill(['--only', 'load,laod']);
    expect(strange.code).to.equal(1);
    expect(strange.output).to.include('There is no drill laod. Drills: ');
    for (const { output } of [unknown, strange]) expect(output).not.to.match(/\n\s+at /);
  });

  it('refuses to go on without an option that npm took', async () => {
    const { code, output } = await drill([], { npm_lifecycle_event: 'drill', npm_config_keep: 'there' });
    expect(code).to.equal(1);
    expect(output).to.include('npm run drill -- --keep there');
  });
});
