export function searchPath(ownBin: string): string[];
export function findProgram(name: string, directories: readonly string[]): string | undefined;
export function postgresOf(major: number, directories: readonly string[]): string | undefined;
