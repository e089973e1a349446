import { expect } from 'chai';
import { fill, isSecret, namesIn } from '../../../../infra/application/template.ts';

describe('a template', () => {
  it('is filled once, and keeps what is no name of it', () => {
    const values = new Map([
      ['a', '${b} $& $$'],
      ['b', 'B'],
    ]);
    expect(fill('${a}-${b} $${b} $b $ {b} {b} $$', (name) => values.get(name))).to.equal(
      '${b} $& $$-B ${b} $b $ {b} {b} $$',
    );
  });

  it('says its names, also one without an end', () => {
    expect(namesIn('${a} $${b} ${c.d}${')).to.deep.equal(['a', 'c.d', undefined]);
    expect(namesIn('$$${a}')).to.deep.equal([]);
  });

  it('is a secret where it contains a password', () => {
    expect(['${database.password}', 'x${database.url}', '${secret.a}'].map(isSecret)).to.deep.equal([true, true, true]);
    expect(['${database.host}', '$${secret.a}', 'secret'].map(isSecret)).to.deep.equal([false, false, false]);
  });

  it('throws for a name that has no value', () => {
    expect(() => fill('${a}', () => undefined)).to.throw('names ${a}, which is not known here');
  });
});
