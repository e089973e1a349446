import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../../../../infra/lib/paths.ts';
import { declare, declareEnvironment, settings, spec } from '../../../../lib/declared.ts';

const rejection = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'no error', String);

describe('programs on AWS', () => {
  it('are chosen by the configuration of the stack', async () => {
    const { all } = await declareEnvironment('staging', { live: 'green', percent: 5 });
    const roots = all.filter(({ type }) => /^greenlight:aws:(Foundation|Colour|Traffic)$/.test(type));
    expect(roots.map(({ name }) => name)).to.deep.equal([
      'staging',
      'staging-blue',
      'staging-green',
      'staging-traffic',
    ]);
  });

  it('refuse wrong settings before anything is declared', async () => {
    const wrong = declare('staging', { kind: 'foundation', spec: spec('staging') }, new Map(), {
      ...settings,
      owner: '',
    });
    expect(await rejection(wrong)).to.contain('aws.owner');
  });

  it('say which stack is missing', async () => {
    const lonely = declare('staging', { kind: 'traffic', split: { live: 'blue', percent: 0 } });
    expect(await rejection(lonely)).to.contain('the stack staging-foundation has no');
  });

  it('are loaded on AWS only', async () => {
    const source = await readFile(join(packageRoot, 'infra', 'program.ts'), 'utf8');
    const atOnce = source.split('\n').filter((line) => line.startsWith('import '));
    expect(atOnce.join('\n')).not.to.contain('aws');
    expect(source).to.contain("await import('./aws/stacks/foundation.ts')");
  });
});
