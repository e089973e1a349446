import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, extname, join, relative } from 'node:path';
import { expect } from 'chai';
import { Linter } from 'eslint';
import { packageRoot } from '../../../infra/lib/paths.ts';

interface Folder {
  is: string;
  may: string[];
}
const module = (name: string) => import(join(packageRoot, 'lint', name)) as Promise<Record<string, unknown>>;
const { layout } = (await module('layout.js')) as { layout: Record<string, Folder> };
const { imports } = (await module('rule.js')) as { imports: never };
const folders = Object.keys(layout);

/** A file in a folder of the layout. */
const fileIn = (folder: string) => (extname(folder) === '' ? `${folder}/planted.js` : folder);

/** A project without files: what is planted there is all that lint sees. */
const empty = join(tmpdir(), 'greenlight-no-files');

/** What lint says of `file` that imports these, in their order. `root`: where the files on disk are. */
function lint(file: string, targets: string[], root = empty): string[] {
  const imported = targets.map((target) => {
    const specifier = relative(dirname(file), target);
    return `import '${specifier.startsWith('.') ? specifier : `./${specifier}`}';`;
  });
  const config = {
    files: ['**/*.js', '**/*.ts'],
    plugins: { layout: { rules: { imports } } },
    rules: { 'layout/imports': 'error' as const },
    settings: { layoutRoot: root },
  };
  const filename = join(root, file);
  return new Linter({ cwd: root }).verify(imported.join('\n'), config, { filename }).map(({ message }) => message);
}

describe('layout of the code', () => {
  for (const folder of folders) {
    it(`${folder}: lint refuses what it may not import`, () => {
      const forbidden = folders.filter((other) => other !== folder && !layout[folder]?.may.includes(other));
      expect(forbidden).not.to.deep.equal([]);
      const problems = lint(fileIn(folder), forbidden.map(fileIn));
      expect(problems).to.have.length(forbidden.length);
      for (const [index, other] of forbidden.entries())
        expect(problems[index]).to.contain(`${folder} (${layout[folder]?.is}) may not import ${other}`);
      const only = layout[folder]?.may.join(', ');
      expect(problems[0]).to.contain(
        only === '' ? 'It may import nothing.' : `It may import only ${only}. Move the shared`,
      );
      const allowed = (layout[folder]?.may ?? []).map((other) => `${other}/x.js`);
      expect(lint(fileIn(folder), allowed)).to.deep.equal([]);
      expect(lint(fileIn(folder), ['test/lib/own-home.ts']).join()).to.contain(
        'may not import test (outside the product)',
      );
    });
  }

  it('a folder without a line in the layout is refused', () => {
    expect(lint('automation/new/planted.js', ['infra/lib/x.js']).join()).to.equal(
      'automation/new is not in lint/layout.js: add `{ is, may }` after the folders that it imports',
    );
  });

  describe('on disk', () => {
    let root: string;
    beforeEach(() => {
      root = mkdtempSync(join(tmpdir(), 'greenlight-layout-'));
      execFileSync('git', ['init', '-q', root]);
    });
    afterEach(() => rmSync(root, { recursive: true, force: true }));

    const write = (file: string, text: string) => {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    };
    const graph = (directory: string) => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(packageRoot, 'lint/graph.js'), directory], {
        encoding: 'utf8',
      });
      return { status, stdout, stderr };
    };

    it('lint refuses a circle, also one of types alone', () => {
      write('infra/lib/a.ts', `import './b.ts';`);
      write('infra/lib/b.ts', `import type { C } from './c.ts';`);
      write('infra/lib/c.ts', `import './a.ts';`);
      expect(lint('infra/lib/a.ts', ['infra/lib/b.ts'], root)).to.deep.equal([
        'imports in a circle: infra/lib/a.ts -> infra/lib/b.ts -> infra/lib/c.ts -> infra/lib/a.ts',
      ]);
    });

    it('the graph of this project has no arrow up and no circle', () => {
      const { status, stdout, stderr } = graph(packageRoot);
      expect(stderr).to.equal('');
      expect(status).to.equal(0);
      expect(stdout).to.match(/^infra\/lib {2}\[\d+ files\]/m);
    });

    it('the graph ends with exit code 1 at an arrow up, a circle and an unknown folder', () => {
      write('infra/lib/a.ts', `import '../../automation/config/b.ts';`);
      write('automation/config/b.ts', `import './c.ts';`);
      write('automation/config/c.ts', `import './b.ts';`);
      write('automation/new/d.ts', '');
      const { status, stderr } = graph(root);
      expect(status).to.equal(1);
      expect(stderr).to.contain('infra/lib/a.ts -> automation/config/b.ts');
      expect(stderr).to.contain('a circle: automation/config/b.ts -> automation/config/c.ts -> automation/config/b.ts');
      expect(stderr).to.contain('automation/new/d.ts: automation/new is not in lint/layout.js');
    });
  });
});
