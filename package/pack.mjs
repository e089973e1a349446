// Makes `dist/`, which the npm package has: JavaScript, as Node strips no types below node_modules. Run by npm's `prepack`.
// The tree keeps its shape, so that the paths between its files stay what they are.
import { chmodSync, copyFileSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { renderDeclarations } from '../automation/config/declarations.ts';

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** k6 runs TypeScript itself. */
const asItIs = /^(loadtests|securitytests)\//;
const left = /\.d\.m?ts$|\.md$|^automation\/toolchain\/pin\.mjs$/;

/** @type {import('typescript').CompilerOptions} */
const compilerOptions = {
  target: ts.ScriptTarget.ES2025,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  rewriteRelativeImportExtensions: true,
};

/** The program in JavaScript. Types are `npm run typecheck`'s matter. */
function compile(file) {
  const { outputText } = ts.transpileModule(readFileSync(join(root, file), 'utf8'), {
    compilerOptions,
    fileName: file,
  });
  return outputText;
}

function write(file, text) {
  const to = join(dist, file);
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, text);
}

rmSync(dist, { recursive: true, force: true });
const files = globSync('{infra,automation,loadtests,securitytests}/**', { cwd: root })
  .map((file) => relative('.', file))
  .filter((file) => statSync(join(root, file)).isFile() && !left.test(file));
for (const file of files) {
  if (file.endsWith('.ts') && !asItIs.test(file)) {
    write(file.replace(/\.ts$/, '.js'), compile(file));
  } else if (file.endsWith('.mjs')) {
    write(file, readFileSync(join(root, file), 'utf8').replaceAll(/(from '\.[^']*)\.ts'/g, "$1.js'"));
  } else {
    mkdirSync(dirname(join(dist, file)), { recursive: true });
    copyFileSync(join(root, file), join(dist, file));
    chmodSync(join(dist, file), statSync(join(root, file)).mode);
  }
}
write('index.d.ts', renderDeclarations());
