import { expect } from 'chai';
import { execaNode } from 'execa';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../../..');

/** Runs `work` in a process of its own that uses little memory. Resolves to what it prints. */
async function inProcess(work: string): Promise<number> {
  const input = `
    import { getHeapSpaceStatistics, getHeapStatistics } from 'node:v8';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { useLittleMemory } from '${root}/infra/lib/memory.ts';
    import { splitStatements } from '${root}/automation/data/migrations/statements.ts';
    useLittleMemory();
    ${work}`;
  const { stdout } = await execaNode('-', { input, nodeOptions: ['--input-type=module'], cwd: root });
  return Number(stdout);
}

describe('a process that uses little memory', () => {
  it('does not optimize the parser of migrations, which takes 600 MB outside the heap', async () => {
    const peak = await inProcess(`
      const file = Array.from({ length: 50 }, (_, i) => \`ALTER TABLE a ADD COLUMN c\${i} numeric(10, 2) NOT NULL CHECK (c\${i} >= 0)\`).join(';');
      for (let i = 0; i < 500; i++) await splitStatements(file);
      // A compiler works in threads of its own: until it has begun and ended.
      for (let last = -1; last !== getHeapStatistics().malloced_memory;) {
        last = getHeapStatistics().malloced_memory;
        await sleep(500);
      }
      console.log(getHeapStatistics().peak_malloced_memory);`);
    expect(peak).to.be.below(50e6);
  });

  it('collects pages of rows soon after they were read', async () => {
    const peak = await inProcess(`
      const [pages, most] = [[], { bytes: 0 }];
      for (let page = 0; page < 400; page++) {
        pages.push(Array.from({ length: 5_000 }, (_, row) => ({ h: String(page * row), x: row + 0.5, n: 1 })));
        if (pages.length > 4) pages.shift();
        const size = getHeapSpaceStatistics().reduce((sum, space) => sum + space.physical_space_size, 0);
        most.bytes = Math.max(most.bytes, size);
        await sleep(0);
      }
      console.log(most.bytes);`);
    expect(peak).to.be.below(50e6);
  });
});
