import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { Command } from 'commander';
import { refuseTakenByNpm } from '../../../../automation/ui/taken-by-npm.ts';
import { packageRoot } from '../../../../infra/lib/paths.ts';

const program = new Command('greenlight');
const release = program.command('release').option('--dry-run').option('--yes').option('--platform <name>');
const status = program.command('status').option('--platform <name>');
program.command('destroy').option('--environment <name>').option('--all').option('--yes');

/** What is said of it; empty where it may run. */
function refusal(command: Command, args: string[], taken: Record<string, string>, script = command.name()): string {
  try {
    refuseTakenByNpm(command, args, { npm_lifecycle_event: script, ...taken });
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('options that npm kept for itself', () => {
  it('stop the command, and are written where they belong', () => {
    const dryRun = refusal(release, [], { npm_config_dry_run: 'true' });
    expect(dryRun).to.include('npm took --dry-run for itself').and.to.include('npm run release -- --dry-run');
    const both = refusal(release, [], { npm_config_dry_run: 'true', npm_config_platform: 'aws' });
    expect(both).to.match(/npm run release -- (--platform aws --dry-run|--dry-run --platform aws)$/m);
    // `--platform aws` leaves its value behind.
    expect(refusal(release, ['aws'], { npm_config_platform: 'true' })).to.include('-- --platform <name>');
  });

  it('stop a command that has no such option: what they ask for would not be done', () => {
    expect(refusal(status, [], { npm_config_dry_run: 'true' })).to.include('--dry-run');
    expect(refusal(release, [], { npm_config_environment: 'staging' })).to.include('--environment staging');
  });

  it('are no matter where the command has got them, where they are off, or where npm did not start it', () => {
    expect(
      refusal(release, ['--dry-run', '--platform=aws'], { npm_config_dry_run: 'true', npm_config_platform: 'x' }),
    ).to.equal('');
    expect(refusal(release, [], { npm_config_dry_run: '', npm_config_yes: '' })).to.equal('');
    expect(refusal(release, [], { npm_config_yes: 'true' }, 'npx')).to.equal('');
  });

  it('leave commands alone that a setting in an .npmrc does not concern, and say how to go on where it does', () => {
    expect(refusal(status, [], { npm_config_yes: 'true', npm_config_all: 'true', npm_config_force: 'true' })).to.equal(
      '',
    );
    expect(refusal(release, [], { npm_config_yes: 'true' })).to.include('npm run release --no-yes');
  });

  it('stop the command line before it reads anything', async () => {
    const cli = [join(packageRoot, 'automation/cli.ts'), 'release', '--config', join(tmpdir(), 'none.config.ts')];
    const env = { PATH: process.env['PATH'], npm_lifecycle_event: 'release', npm_config_dry_run: 'true' };
    const failed = await promisify(execFile)(process.execPath, cli, { env }).then(
      () => expect.fail('it ran'),
      (error: { code: number; stderr: string }) => error,
    );
    expect(failed.code).to.equal(1);
    expect(failed.stderr).to.include('npm took --dry-run for itself').and.not.to.include('none.config.ts');
  });
});
