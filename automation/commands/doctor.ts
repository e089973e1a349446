import { join } from 'node:path';
import { isInstalled, packageRoot, toolsDirectory } from '../../infra/lib/paths.ts';
import { inspectTool, isWanted, loadTools, type Inspection } from '../toolchain/inspect.mjs';
import { describeOrigin } from '../toolchain/origin.mjs';
import { packagesCurrent } from '../toolchain/packages.mjs';
import { greenlight } from '../../infra/lib/command.ts';

/** One line of the table. An `optional` finding does not stop a release. */
export interface Finding {
  name: string;
  state: 'good' | 'optional' | 'problem';
  version: string;
  wanted: string;
  /** Path, and the problem if there is one. */
  where: string;
  /** How it was installed. */
  origin?: string;
  todo?: string;
}

const nodeWanted = { min: '24.0.0', below: '25' };

/**
 * Prints every tool: path, version, wanted version, and what to do if it does not fit. Changes nothing. Resolves to the
 * exit code: 0 if everything that a release needs is installed, otherwise 1.
 */
export async function runDoctor(): Promise<number> {
  const findings = await examine();
  process.stdout.write(renderFindings(findings));
  const first = process.env['GREENLIGHT_TOOLS'];
  if (first !== undefined && first !== '') process.stdout.write(`GREENLIGHT_TOOLS: ${first} is searched first.\n`);
  return findings.some(({ state }) => state === 'problem') ? 1 : 0;
}

/** Inspects Node.js, the npm packages and all tools. In a package neither what its own tests need, nor what npm has installed. */
export async function examine(): Promise<Finding[]> {
  const wanted = loadTools().filter(({ profiles }) => !isInstalled || profiles.includes('release'));
  const tools = wanted.map(async (tool) => {
    const inspection = await inspectTool(tool, toolsDirectory());
    const path = inspection.paths[tool.programs[0] ?? ''];
    return toolFinding(inspection, path === undefined ? undefined : await describeOrigin(path, toolsDirectory()));
  });
  return [
    nodeFinding(process.versions.node),
    ...(isInstalled ? [] : [packagesFinding(packagesCurrent(packageRoot))]),
    ...(await Promise.all(tools)),
  ];
}

export function nodeFinding(version: string): Finding {
  const good = isWanted(version, nodeWanted);
  return {
    name: 'node',
    state: good ? 'good' : 'problem',
    version,
    wanted: `>= ${nodeWanted.min}, < ${nodeWanted.below}`,
    where: process.execPath,
    ...(good ? {} : { todo: `run it by npm, which uses the Node.js of Greenlight: ${greenlight('doctor')}` }),
  };
}

function packagesFinding(current: boolean): Finding {
  const where = current ? join(packageRoot, 'node_modules') : 'not those of package-lock.json';
  const finding: Finding = {
    name: 'npm packages',
    state: current ? 'good' : 'problem',
    version: '',
    wanted: 'as locked',
    where,
  };
  return current ? finding : { ...finding, todo: 'npm ci' };
}

/** Turns the inspection of a tool into a line of the table. */
export function toolFinding({ tool, state, version, wanted, paths, problem }: Inspection, origin?: string): Finding {
  const path = paths[tool.programs[0] ?? ''] ?? 'not found';
  const base = {
    name: tool.name,
    version: version ?? '-',
    wanted,
    where: problem === undefined ? path : `${path}: ${problem}`,
    ...(origin === undefined ? {} : { origin }),
  };
  if (state === 'good') return { ...base, state: 'good' };
  return { ...base, state: tool.optional === true ? 'optional' : 'problem', todo: `${tool.use}: ${cure(tool)}` };
}

function cure({ source, byHand }: Inspection['tool']): string {
  const byUs = greenlight('setup');
  if (source.kind !== 'system') return byHand === undefined ? byUs : `${byUs}, or by hand: ${byHand}`;
  return process.platform === 'darwin'
    ? `brew install ${source.homebrew ?? ''}`
    : `sudo apt-get install ${source.debian ?? ''} (as root, ${greenlight('setup')} does it)`;
}

const mark = { good: 'ok', optional: '--', problem: '!!' } as const;

/** The table as text. What to do is below the line of the tool. */
export function renderFindings(findings: readonly Finding[]): string {
  const rows = findings.map(({ state, name, version, wanted, where, origin }) => [
    mark[state],
    name,
    version,
    wanted,
    where,
    origin ?? '',
  ]);
  const table = [['', 'tool', 'version', 'wanted', 'found', 'came by'], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  const lines = table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const withTodo = lines.flatMap((line, index) => {
    const todo = findings[index - 1]?.todo;
    return todo === undefined ? [line] : [line, `      -> ${todo}`];
  });
  const problems = findings.filter(({ state }) => state === 'problem').length;
  const verdict =
    problems === 0 ? 'Everything that a release needs is installed.' : `${problems} to fix: see the lines with "!!".`;
  return `${withTodo.join('\n')}\n\n${verdict}\n`;
}
