export interface Origin {
  way: 'pinned' | 'checksums' | 'go' | 'pypi';
  /** Host of the download, and host of the publisher. They differ with a mirror. */
  from?: string;
  publisher?: string;
}

export function recordOrigin(folder: string, origin: Origin): void;
export function describeOrigin(path: string, toolsDirectory: string): Promise<string>;
