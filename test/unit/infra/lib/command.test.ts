import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ESLint } from 'eslint';
import { expect } from 'chai';
import { greenlight } from '../../../../infra/lib/command.ts';
import { packageRoot } from '../../../../infra/lib/paths.ts';

describe('the command that a message names', () => {
  it('is a script of npm’s in this repository', () => {
    expect(greenlight('resume')).to.equal('npm run resume');
    expect(greenlight('release', '--version', '1.2.3')).to.equal('npm run release -- --version 1.2.3');
  });

  it('is the package’s own command where it is installed', () => {
    const directory = mkdtempSync(join(tmpdir(), 'greenlight-command-'));
    try {
      for (const name of ['command.ts', 'place.mjs'])
        cpSync(join(packageRoot, 'infra/lib', name), join(directory, 'dist/infra/lib', name));
      const program = `import { greenlight } from './dist/infra/lib/command.ts'; console.log(greenlight('release', '--yes'));`;
      const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { cwd: directory });
      expect(stdout.toString()).to.equal('npx greenlight release --yes\n');
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('is not written by hand: lint refuses it in infra and automation, in texts of both kinds', async () => {
    const eslint = new ESLint({
      cwd: packageRoot,
      overrideConfig: { languageOptions: { parserOptions: { projectService: false, project: false } } },
      ruleFilter: ({ ruleId }) => ruleId === 'no-restricted-syntax',
    });
    const refused = async (filePath: string, text: string) =>
      (await eslint.lintText(text, { filePath: join(packageRoot, filePath) })).flatMap(({ messages }) =>
        messages.map(({ message }) => message),
      );
    for (const filePath of ['infra/local/platform.ts', 'automation/release/run.ts', 'infra/lib/atomic-file.ts'])
      for (const text of ["'then: npm run resume'", '`then: npm run ${x}`', "'npx greenlight status'"])
        expect((await refused(filePath, text))[0], `${filePath} ${text}`).to.include('infra/lib/command.ts');
    expect(await refused('automation/release/run.ts', '// npm run resume\n`${greenlight(x)}`')).to.deep.equal([]);
  });
});
