import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadRelease } from '../../../../automation/config/load.ts';
import { givenPath, ignoreGreenlight, makeHome, settleProject } from '../../../../automation/config/project.ts';
import { gatesOf } from '../../../../automation/release/plan.ts';
import { home, packageRoot, projectRoot } from '../../../../infra/lib/paths.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';

const variables = ['INIT_CWD', 'GREENLIGHT_PROJECT', 'GREENLIGHT_HOME'] as const;

describe('the project that a command is about', () => {
  let directory: string;
  let before: (string | undefined)[];
  beforeEach(async () => {
    directory = await realpath(await mkdtemp(join(tmpdir(), 'greenlight-project-')));
    before = variables.map((name) => process.env[name]);
    for (const name of variables) delete process.env[name];
  });
  afterEach(async () => {
    variables.forEach((name, index) => {
      if (before[index] === undefined) delete process.env[name];
      else process.env[name] = before[index];
    });
    await rm(directory, { recursive: true, force: true });
  });

  const write = async (name: string, text = ''): Promise<void> => {
    await mkdir(join(directory, name, '..'), { recursive: true });
    await writeFile(join(directory, name), text);
  };
  const settled = (config?: string): string => {
    settleProject(config);
    return projectRoot();
  };
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: directory, stdio: ['ignore', 'pipe', 'ignore'] }).toString();

  it('is the folder of the definition that is named, from where the person is', async () => {
    await write('greenlight.config.ts');
    process.env['INIT_CWD'] = directory;
    expect(settled('shop/other.config.ts')).to.equal(join(directory, 'shop'));
    expect(givenPath('x.ts')).to.equal(join(directory, 'x.ts'));
    expect(home()).to.equal(join(directory, 'shop/.greenlight'));
  });

  it('is the nearest folder with a definition, else Greenlight’s own here', async () => {
    await write('greenlight.config.ts');
    await write('shop/greenlight.config.ts');
    await mkdir(join(directory, 'shop/src/deep'), { recursive: true });
    process.env['INIT_CWD'] = join(directory, 'shop/src/deep');
    expect(settled()).to.equal(join(directory, 'shop'));
    delete process.env['GREENLIGHT_PROJECT'];
    process.env['INIT_CWD'] = join(directory, 'docs');
    expect(settled()).to.equal(directory);
    delete process.env['GREENLIGHT_PROJECT'];
    await rm(join(directory, 'greenlight.config.ts'));
    expect(settled()).to.equal(packageRoot);
  });

  it('is what GREENLIGHT_PROJECT says before all, and stays so in the programs that a command starts', () => {
    process.env['INIT_CWD'] = directory;
    process.env['GREENLIGHT_PROJECT'] = 'shop';
    expect(settled('elsewhere/greenlight.config.ts')).to.equal(join(directory, 'shop'));
    expect(settled('elsewhere/greenlight.config.ts')).to.equal(join(directory, 'shop'));
    process.env['GREENLIGHT_PROJECT'] = '';
    expect(settled('elsewhere/greenlight.config.ts')).to.equal(join(directory, 'elsewhere'));
  });

  it('has its .greenlight ignored by git, once, also where the last line of .gitignore has no end', async () => {
    git('init', '--quiet');
    await write('.gitignore', 'node_modules');
    await write('greenlight.config.ts');
    process.env['INIT_CWD'] = directory;
    settled();
    expect(makeHome()).to.include(`Added .greenlight/ to ${join(directory, '.gitignore')}`);
    expect(await readFile(join(directory, '.gitignore'), 'utf8')).to.equal('node_modules\n.greenlight/\n');
    await write('.greenlight/passphrase', 'secret');
    expect(git('status', '--porcelain')).not.to.include('.greenlight');
    expect(makeHome()).to.equal(undefined);
    expect(ignoreGreenlight(directory)).to.equal(undefined);
  });

  it('has nothing written to its .gitignore where git ignores it, where there is no git, and for a home elsewhere', async () => {
    process.env['GREENLIGHT_PROJECT'] = directory;
    expect(makeHome()).to.equal(undefined);
    expect(existsSync(join(directory, '.gitignore'))).to.equal(false);
    git('init', '--quiet');
    await write('.git/info/exclude', '.greenlight\n');
    expect(ignoreGreenlight(directory)).to.equal(undefined);
    await write('.git/info/exclude', '');
    process.env['GREENLIGHT_HOME'] = join(directory, 'kept');
    expect(ignoreGreenlight(directory)).to.equal(undefined);
    expect(existsSync(join(directory, '.gitignore'))).to.equal(false);
  });

  it('is made of the package `greenlight`, wherever it is installed, also where package.json says commonjs', async () => {
    const text = JSON.stringify({ ...validDefinition(), load: undefined });
    await write('package.json', '{ "type": "commonjs" }');
    await write(
      'load.ts',
      "export const load: { script: string } & object = { script: 'journey.js', requestsPerSecond: 5, thresholds: { p95Ms: 300 } };\n",
    );
    await write('journey.js');
    await write(
      'greenlight.config.ts',
      `import { defineRelease } from 'greenlight';\nimport { load } from './load.ts';\n` +
        `export default defineRelease({ ...${text}, load, synthetic: { script: 'journey.js' } });\n`,
    );
    process.env['INIT_CWD'] = directory;
    settled();
    expect((await loadRelease(gatesOf)).load.script).to.equal('journey.js');
  });
});
