export interface Origin {
  way: 'pinned' | 'checksums' | 'go' | 'pypi';
  /** Host that it was downloaded from, and the host that its publisher uses: they differ with a mirror. */
  from?: string;
  publisher?: string;
}

export function recordOrigin(folder: string, origin: Origin): void;
export function describeOrigin(path: string, toolsDirectory: string): Promise<string>;
