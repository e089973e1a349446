import { setFlagsFromString } from 'node:v8';

/**
 * WebAssembly of this process is compiled once, by V8's baseline compiler. By default its optimizing compiler follows for a function that
 * is called often: for PostgreSQL's parser, one function of which has the whole grammar, that takes 600 MB, more than all the rest of a release.
 * The parser reads a migration file in milliseconds either way. To be called before the first module is compiled.
 */
export function compileWasmOnce(): void {
  // Both: each alone has no effect. https://v8.dev/docs/wasm-compilation-pipeline
  setFlagsFromString('--no-wasm-dynamic-tiering');
  setFlagsFromString('--no-wasm-tier-up');
}
