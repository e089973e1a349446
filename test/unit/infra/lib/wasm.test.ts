import { expect } from 'chai';
import { execaNode } from 'execa';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../../..');

/** Most memory that V8 took outside its heap, as its compilers do, while a file was parsed often enough to be optimized, bytes. */
async function peakOfCompilers(): Promise<number> {
  const program = `
    import { getHeapStatistics } from 'node:v8';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { compileWasmOnce } from '${root}/infra/lib/wasm.ts';
    import { splitStatements } from '${root}/automation/data/migrations/statements.ts';
    compileWasmOnce();
    const file = Array.from({ length: 50 }, (_, i) => \`ALTER TABLE a ADD COLUMN c\${i} numeric(10, 2) NOT NULL DEFAULT 0 CHECK (c\${i} >= 0)\`).join(';');
    for (let i = 0; i < 500; i++) await splitStatements(file);
    // A compiler works in threads of its own: until it has begun and ended.
    for (let last = -1; last !== getHeapStatistics().malloced_memory;) {
      last = getHeapStatistics().malloced_memory;
      await sleep(500);
    }
    console.log(getHeapStatistics().peak_malloced_memory);`;
  const { stdout } = await execaNode('-', { input: program, nodeOptions: ['--input-type=module'], cwd: root });
  return Number(stdout);
}

describe('WebAssembly', () => {
  it('is compiled once: optimizing the parser of migrations takes 600 MB', async () => {
    expect(await peakOfCompilers()).to.be.below(50e6);
  });
});
