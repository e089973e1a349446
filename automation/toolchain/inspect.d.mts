export interface VersionRange {
  min: string;
  below?: string;
}

/** The part of an entry of `tools.json` that programs in TypeScript read. */
export interface Tool {
  name: string;
  use: string;
  programs: string[];
  profiles: string[];
  optional?: boolean;
  wanted: VersionRange;
  source: { kind: 'system' | 'python' | 'archive'; debian?: string; homebrew?: string };
  byHand?: string;
}

export interface Inspection {
  tool: Tool;
  paths: Record<string, string>;
  wanted: string;
  version: string | undefined;
  problem: string | undefined;
  state: 'good' | 'old' | 'incomplete' | 'missing';
}

export function loadTools(): Tool[];
export function compareVersions(a: string, b: string): number;
export function isWanted(version: string, range: VersionRange): boolean;
export function describeWanted(range: VersionRange): string;
export function parseVersion(text: string): string | undefined;
export function inspectTool(tool: Tool, toolsDirectory: string): Promise<Inspection>;
