import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../../../infra/lib/paths.ts';
import { declareEnvironment } from '../../../lib/declared.ts';

describe('docs/aws.md', () => {
  it('has a second reading of every type of resource that the programs declare', async () => {
    const text = await readFile(join(packageRoot, 'docs', 'aws.md'), 'utf8');
    const reading = text.split('## Second reading')[1]?.split('\n## ')[0] ?? '';
    const { all } = await declareEnvironment('production', { live: 'blue', percent: 10 });
    const types = new Set(all.map(({ type }) => /^aws:([^:]+):/.exec(type)?.[1] ?? type));
    const missing = [...types].filter((type) => /^(awsx:|[a-z0-9]+\/)/.test(type) && !reading.includes(`\`${type}\``));
    expect(missing).to.deep.equal([]);
  });
});
