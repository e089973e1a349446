export const packageRoot: string;
export const isInstalled: boolean;
export function cacheDirectory(): string;
export function sharedStateDirectory(): string;
export function setUpDirectory(): string;
