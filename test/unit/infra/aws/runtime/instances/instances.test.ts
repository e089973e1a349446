import { expect } from 'chai';
import { Numbers } from '../../../../../../infra/aws/runtime/instances/instances.ts';

describe('numbers of tasks', () => {
  const at = (arn: string, createdAt: number) => ({ arn, createdAt });
  const plain = (numbers: Map<string, number>) => Object.fromEntries(numbers);

  it('follow their age, and the name where that is the same', () => {
    const numbers = new Numbers();
    expect(plain(numbers.of('api.blue', [at('c', 2), at('b', 1), at('a', 1)]))).to.deep.equal({ a: 1, b: 2, c: 3 });
  });

  it('stay, and who replaces one has its number', () => {
    const numbers = new Numbers();
    numbers.of('api.blue', [at('a', 1), at('b', 2)]);
    expect(plain(numbers.of('api.blue', [at('b', 2)]))).to.deep.equal({ b: 2 });
    expect(plain(numbers.of('api.blue', [at('b', 2), at('c', 3), at('d', 4)]))).to.deep.equal({ b: 2, c: 1, d: 3 });
    expect(plain(numbers.of('api.green', [at('e', 5)]))).to.deep.equal({ e: 1 });
  });
});
