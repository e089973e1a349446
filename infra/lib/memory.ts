import { setFlagsFromString } from 'node:v8';

/**
 * V8 takes what the machine has: by default new objects get up to 128 MB where there are 24 GB of memory, and the rest is collected when it
 * has grown several times. With pages of rows, which live for a moment only, a release took twice as much memory for the same objects.
 * https://v8.dev/blog/trash-talk
 */
const collector = [
  // The young generation stays at its first size, 2 MB.
  '--semi-space-growth-factor=1',
  // The old one is collected when it has grown by half.
  '--heap-growing-percent=50',
];

/**
 * WebAssembly is compiled once, by V8's baseline compiler. By default its optimizing compiler follows for a function that is called
 * often: for PostgreSQL's parser, one function of which has the whole grammar, that took 600 MB. The parser reads a migration file in
 * milliseconds either way. Each flag alone has no effect. https://v8.dev/docs/wasm-compilation-pipeline
 */
const compiler = ['--no-wasm-dynamic-tiering', '--no-wasm-tier-up'];

/** Makes this process take little memory, for some more time of its processor. To be called before anything large is loaded. */
export function useLittleMemory(): void {
  for (const flag of [...collector, ...compiler]) setFlagsFromString(flag);
}
