// Prints the folders from the ground up, each with what it imports. Exit code 1 where an arrow goes up, a folder or an import is
// not in lint/layout.js, or files import each other in a circle.
import { execFileSync } from 'node:child_process';
import { circles, folderOf, forbidden, importsOf, mustHaveFolder } from './imports.js';
import { layout } from './layout.js';

const root = process.argv[2] ?? process.cwd();
const files = execFileSync('git', ['-C', root, 'ls-files', '-co', '--exclude-standard', '*.ts', '*.mjs'], {
  encoding: 'utf8',
})
  .trim()
  .split('\n');

const order = Object.keys(layout);
const problems = order.flatMap((folder, rank) =>
  layout[folder].may
    .filter((other) => !(order.indexOf(other) >= 0 && order.indexOf(other) < rank))
    .map((other) => `lint/layout.js: ${folder} may import ${other}, which does not stand above it`),
);
const imports = new Map(order.map((folder) => [folder, new Map()]));
const ofFiles = new Map();
for (const file of files) {
  const targets = importsOf(root, file).map(({ to }) => to);
  ofFiles.set(file, targets);
  const here = folderOf(file);
  if (here === undefined && mustHaveFolder(file)) problems.push(`${file}: ${forbidden(file, file)}`);
  for (const to of targets) {
    const why = forbidden(file, to);
    if (why !== undefined) problems.push(`${file} -> ${to}: ${why}`);
    const there = folderOf(to);
    if (here === undefined || there === undefined || here === there) continue;
    imports.get(here).set(there, (imports.get(here).get(there) ?? 0) + 1);
  }
}
for (const group of circles(ofFiles)) problems.push(`a circle: ${[...group, group[0]].join(' -> ')}`);

for (const folder of order) {
  const count = files.filter((file) => folderOf(file) === folder).length;
  const arrows = [...imports.get(folder)].map(([to, times]) => `${to} (${times})`).join(', ');
  console.log(`${folder}  [${count} ${count === 1 ? 'file' : 'files'}]  ${layout[folder].is}`);
  if (arrows !== '') console.log(`    -> ${arrows}`);
}
const total = [...imports.values()].reduce((sum, to) => sum + to.size, 0);
console.log(`\n${order.length} folders, ${total} arrows, ${problems.length} wrong`);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
