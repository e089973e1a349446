/** Architectures as images name them. */
const architectures: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

/** The platform of images that run on this machine: `linux/amd64`. */
export const ownPlatform = (): string => `linux/${architectures[process.arch] ?? process.arch}`;
