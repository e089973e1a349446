// Which tools are installed, and in which version. JavaScript with Node built-ins only: the set-up runs it on Node 20.
import { execFile } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { findProgram, searchPath } from '../../infra/lib/search.mjs';

/** The tools in `tools.json`. */
export function loadTools() {
  return JSON.parse(readFileSync(new URL('tools.json', import.meta.url), 'utf8')).tools;
}

const numbers = (version) => version.split('.').map(Number);

/** -1, 0 or 1. Missing parts count as 0: 15 equals 15.0. */
export function compareVersions(a, b) {
  const [left, right] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return 0;
}

/** Whether `version` is at least `min` and lower than `below`. */
export function isWanted(version, { min, below }) {
  return compareVersions(version, min) >= 0 && (below === undefined || compareVersions(version, below) < 0);
}

/** `>= 1.8.1, < 2` */
export const describeWanted = ({ min, below }) => `>= ${min}${below === undefined ? '' : `, < ${below}`}`;

/** First version number in what a program printed. */
export const parseVersion = (text) => /\bv?(\d+(?:\.\d+){1,3})/.exec(text)?.[1] ?? /\bv?(\d+)\b/.exec(text)?.[1];

/**
 * The version of a tool that the set-up installed, from its folder `<name>-<version>/`: starting Java for it would be
 * slow.
 */
function ownVersion(path, toolsDirectory) {
  let inside;
  try {
    inside = relative(realpathSync(toolsDirectory), realpathSync(path));
  } catch {
    return undefined;
  }
  return /^[a-z0-9]+-(\d[\d.]*)$/.exec(inside.split(sep)[0] ?? '')?.[1];
}

function output(program, argv) {
  return new Promise((resolve) => {
    execFile(program, argv, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ failed: error !== null, text: `${stdout}\n${stderr}` });
    });
  });
}

/**
 * Looks for one tool. `state` is `good`, `old` (a version outside of the wanted range), `incomplete` (a program or a
 * feature is missing, or it does not run) or `missing`. Never rejects.
 */
export async function inspectTool(tool, toolsDirectory) {
  const directories = searchPath(join(toolsDirectory, 'bin'));
  const paths = {};
  for (const program of tool.programs) {
    const path = findProgram(program, directories);
    if (path !== undefined) paths[program] = path;
  }
  const found = { tool, paths, wanted: describeWanted(tool.wanted), version: undefined, problem: undefined };
  const first = paths[tool.programs[0]];
  if (first === undefined) return { ...found, state: 'missing' };
  const absent = tool.programs.filter((program) => paths[program] === undefined);
  if (absent.length > 0) return { ...found, state: 'incomplete', problem: `${absent.join(', ')} missing` };
  const own = tool.slowToStart ? ownVersion(first, toolsDirectory) : undefined;
  const { failed, text } = own !== undefined ? { failed: false, text: own } : await output(first, tool.version);
  const version = parseVersion(text);
  if (failed || version === undefined) {
    return { ...found, state: 'incomplete', problem: `"${first} ${tool.version.join(' ')}" does not work` };
  }
  if (!isWanted(version, tool.wanted)) return { ...found, version, state: 'old' };
  if (tool.mustSay && !text.includes(tool.mustSay)) {
    return { ...found, version, state: 'incomplete', problem: `"${tool.mustSay}" not reported` };
  }
  return { ...found, version, state: 'good' };
}
