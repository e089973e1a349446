// Plans the set-up before anything is changed: what is missing, how each tool will be installed, and what prevents it.
import { findProgram, searchPath } from '../../infra/lib/search.mjs';
import { debianCommands } from './debian.mjs';
import { inspectTool } from './inspect.mjs';
import { askForArchive, noGo } from './install.mjs';
import { SetupProblem, Unreachable } from './problem.mjs';
import { usablePythons } from './python.mjs';

/**
 * @returns {Promise<{ missing: object[], leftOut: object[], systemPackages: string[], go?: string, pythons: string[]
 * }>} `missing`: inspections, with the opened archive or its problem; `leftOut`: optional tools that are not installed
 * @throws SetupProblem with everything that a person has to do
 */
export async function planTools(tools, toolsDirectory, offline) {
  const directories = searchPath(toolsDirectory);
  const inspections = await Promise.all(
    tools.map(async (tool) => {
      const inspection = await inspectTool(tool, toolsDirectory);
      const { source, needs } = tool;
      const lacking = needs !== undefined && findProgram(needs, directories) === undefined ? needs : undefined;
      const wanting = inspection.state !== 'good' && source.kind === 'archive' && !offline && lacking === undefined;
      return { ...inspection, lacking, answer: wanting ? await askForArchive(tool) : {} };
    }),
  );
  const wanting = inspections.filter(({ state }) => state !== 'good');
  const installsPackages = findProgram('apt-get', directories) !== undefined && process.getuid?.() === 0;
  const isLeftOut = ({ tool, lacking }) =>
    tool.optional && (offline || lacking !== undefined || (tool.source.kind === 'system' && !installsPackages));
  const missing = wanting.filter((inspection) => !isLeftOut(inspection));
  const python = missing.find(({ tool }) => tool.source.kind === 'python');
  const pythons = python === undefined ? [] : usablePythons(python.tool.source.python);
  const systemPackages = missing
    .filter(({ tool }) => tool.source.kind === 'system')
    .flatMap(({ tool }) => tool.source.debian.split(' '));
  // An optional tool does without, rather than ask a person for a package.
  const needed = missing.some(({ tool }) => tool.source.kind === 'python' && !tool.optional);
  if (needed && pythons.length === 0) systemPackages.push(python.tool.source.debian);
  const go = findProgram('go', directories);
  const plan = { missing, leftOut: wanting.filter(isLeftOut), systemPackages, go, pythons };
  const stop = blockers(plan, findProgram('apt-get', directories), offline);
  if (stop.length > 0) {
    for (const { answer } of missing) answer.opened?.response.destroy();
    throw new SetupProblem('setting up', 'some tools are missing; nothing was changed', stop.join('\n'));
  }
  return plan;
}

function blockers({ missing, systemPackages, go, pythons }, apt, offline) {
  const lines = [];
  const required = missing.filter(({ tool }) => !tool.optional);
  const names = required.map(({ tool, wanted, problem }) => `${tool.name} ${wanted}${problem ? ` (${problem})` : ''}`);
  if (offline && required.length > 0) {
    return [`GREENLIGHT_OFFLINE=1 forbids downloads. Missing: ${names.join(', ')}`];
  }
  if (systemPackages.length > 0 && (apt === undefined || process.getuid?.() !== 0)) {
    if (apt !== undefined) lines.push('System packages need root. Run:', ...debianCommands(systemPackages));
    else lines.push('Install these with your package manager. With Homebrew:', ...homebrewCommands(required));
  }
  for (const { tool, answer } of required) {
    const { problem } = answer;
    if (problem !== undefined && !(problem instanceof Unreachable)) lines.push(problem.message);
    else if (problem !== undefined && go === undefined) {
      lines.push(`${tool.name}: ${problem.doing}: ${problem.found}, and ${noGo} (https://go.dev/dl/).`);
      lines.push(`  By hand: ${tool.byHand}`);
    }
  }
  if (required.some(({ tool }) => tool.source.kind === 'python') && pythons.length === 0 && apt === undefined) {
    lines.push('Wapiti and moto need Python 3.10, 3.11 or 3.12 with venv: brew install python@3.12');
  }
  return lines;
}

const homebrewCommands = (missing) =>
  missing.filter(({ tool }) => tool.source.kind === 'system').map(({ tool }) => `brew install ${tool.source.homebrew}`);
