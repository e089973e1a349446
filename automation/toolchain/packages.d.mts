export function packagesCurrent(root: string): boolean;
