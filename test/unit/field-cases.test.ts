import { expect } from 'chai';
import { globSync, readFileSync } from 'node:fs';

const listed = new Set(
  [...readFileSync('docs/field-cases.md', 'utf8').matchAll(/^\| ([A-Z]\d*) \|/gm)].map(([, id]) => id ?? ''),
);
const proven = new Set(
  globSync('test/**/*.test.ts').flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\[([A-Z]\d+|L)\]|\bid: '([A-Z]\d+)'/g)].map(
      ([, title, id]) => title ?? id ?? '',
    ),
  ),
);

describe('the field cases', () => {
  it('each have a test with their ID', () => {
    expect([...listed].filter((id) => !proven.has(id))).to.deep.equal([]);
    expect(listed.size).to.be.greaterThan(50);
  });

  it('are each in the list', () => {
    expect([...proven].filter((id) => !listed.has(id))).to.deep.equal([]);
  });
});
