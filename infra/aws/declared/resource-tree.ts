import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { childEnvironment, ownVariables } from '../../lib/child-environment.ts';
import { OperationError } from '../../lib/errors.ts';
import { ownProgram } from '../../lib/paths.ts';
import { stackKinds, stackName, type EnvironmentSpec, type StackKind } from '../../model.ts';
import type { AwsSettings } from '../lib/settings.ts';

export interface Options {
  protect: boolean;
  ignoreChanges: string[];
  deleteBeforeReplace: boolean;
  /** By type and name, the end of a URN. */
  dependsOn: string[];
}

/** A resource as a program declared it. */
export interface Declared {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  /** Inputs that the engine is told to keep secret. */
  secrets: string[];
  options: Options;
  /** Type and name of the component that contains it. Absent: directly in the stack. */
  parent?: string;
}

export type DeclaredStacks = Record<StackKind, Declared[]>;

export interface TreeNode {
  type: string;
  name: string;
  children: TreeNode[];
}

export interface StackTree {
  stack: string;
  roots: TreeNode[];
}

/**
 * The resources that the programs declare for an environment, both colours with a version. Uses a child process,
 * because Pulumi's runtime is one per process and the engine may need it later. Needs no account, plug-in or network;
 * takes some seconds.
 */
export async function declareApart(spec: EnvironmentSpec, settings: AwsSettings): Promise<DeclaredStacks> {
  const program = ownProgram(import.meta.dirname, 'child');
  // Without Pulumi's environment variables: with them the child would look for an engine.
  const child = spawn(process.execPath, [program], {
    ...childEnvironment({}, ownVariables),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify({ spec, settings }));
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [answer, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (code === 0) return JSON.parse(answer) as DeclaredStacks;
  throw new OperationError(
    `determining the resources of ${spec.environment}`,
    reason(complaint),
    'correct what the message names in the release definition',
  );
}

/** The error's message, without its stack trace. */
function reason(complaint: string): string {
  const line = complaint.split('\n').findIndex((found) => /^(\w*Error|Error): /.test(found));
  if (line === -1) return complaint.trim().slice(-500) || 'the programs ended without a message';
  const rest = complaint.split('\n').slice(line);
  const end = rest.findIndex((found) => /^\s+at /.test(found));
  return rest
    .slice(0, end === -1 ? 5 : end)
    .join('\n')
    .replace(/^\w*Error: /, '')
    .trim();
}

/** Component -> children, as the programs nest them. Pure. */
export function resourceTree(spec: Pick<EnvironmentSpec, 'environment'>, declared: DeclaredStacks): StackTree[] {
  return stackKinds.map((kind) => ({ stack: stackName(spec.environment, kind), roots: nest(declared[kind]) }));
}

function nest(declared: Declared[]): TreeNode[] {
  const nodes = new Map<string, TreeNode>();
  for (const { type, name } of declared) nodes.set(`${type} ${name}`, { type, name, children: [] });
  return declared.flatMap(({ type, name, parent }) => {
    const node = nodes.get(`${type} ${name}`) as TreeNode;
    const above = parent === undefined ? undefined : nodes.get(parent);
    above?.children.push(node);
    return above === undefined ? [node] : [];
  });
}

const isComponent = ({ type }: TreeNode): boolean => type.startsWith('greenlight:');

/** `Vpc` of `awsx:ec2:Vpc`. */
const shortType = ({ type }: TreeNode): string => type.split(':').at(-1) as string;

const resourcesBelow = (node: TreeNode): TreeNode[] =>
  node.children.flatMap((child) => (isComponent(child) ? resourcesBelow(child) : [child, ...resourcesBelow(child)]));

/** Maximum length of the list of types in a line. Types that do not fit are counted. */
const listWidth = 84;

/** `2 Role, RolePolicy`: the most frequent type first. */
function counts(nodes: TreeNode[]): string {
  const byType = new Map<string, number>();
  for (const node of nodes) byType.set(shortType(node), (byType.get(shortType(node)) ?? 0) + 1);
  const all = [...byType]
    .sort(([a, m], [b, n]) => n - m || a.localeCompare(b))
    .map(([type, count]) => (count === 1 ? type : `${count} ${type}`));
  const fits = all.filter((_, i) => all.slice(0, i + 1).join(', ').length <= listWidth);
  const more = all.length - fits.length;
  return [...fits, ...(more === 0 ? [] : [`and ${more} more ${more === 1 ? 'kind' : 'kinds'}`])].join(', ');
}

/** For the terminal: the components of each stack, and the types of resources in each. Pure. */
export const renderTree = (trees: StackTree[]): string => trees.map(renderStack).join('\n');

function renderStack({ stack, roots }: StackTree): string {
  const root = roots.find(isComponent);
  if (root === undefined) return `${stack}: nothing`;
  // `api` of `production-blue-api`: without the stack's name.
  const label = (part: TreeNode) => {
    const own = part.name.replace(`${root.name}-`, '');
    const type = shortType(part);
    const says = own === part.name || own === type.replaceAll(/(?<!^)[A-Z]/g, '-$&').toLowerCase();
    return says ? type : `${type} ${own}`;
  };
  const direct = root.children.filter((child) => !isComponent(child));
  const lines = root.children.filter(isComponent).map((part) => [label(part), counts(resourcesBelow(part))]);
  if (direct.length > 0) lines.push([shortType(root), counts(direct)]);
  const width = Math.max(...lines.map(([part]) => (part as string).length));
  const text = lines.map(([part, kinds]) => `  ${(part as string).padEnd(width)}  ${kinds}`);
  return [`${stack}: ${resourcesBelow(root).length} resources`, ...text].join('\n');
}
