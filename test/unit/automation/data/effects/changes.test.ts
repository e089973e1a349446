import { expect } from 'chai';
import { otherThanRehearsed } from '../../../../../automation/data/effects/changes.ts';
import type { MigrationChanges, ObjectChange } from '../../../../../automation/journal/events.ts';

/** What happened on the copy, against what happens in the window. */
describe('the changes of migrations', () => {
  const change = (name: string, given: Partial<ObjectChange> = {}): ObjectChange => ({
    kind: 'table',
    name,
    change: 'new',
    exact: 'e',
    masked: 'm',
    ...given,
  });
  const all = (changes: ObjectChange[], given: Partial<MigrationChanges> = {}): MigrationChanges => ({
    postgres: 15,
    counts: {},
    ...given,
    changes,
  });

  it('are the same where objects and definitions are, in whatever order', () => {
    expect(otherThanRehearsed(all([change('a'), change('b')]), all([change('b'), change('a')]))).to.deep.equal([]);
  });

  it('are others where an object came, stayed or went that did not, or is another one', () => {
    expect(otherThanRehearsed(all([change('a')]), all([change('b')]))).to.deep.equal([
      'the table b is new: not so in the rehearsal',
      'the table a is new: in the rehearsal alone',
    ]);
    expect(otherThanRehearsed(all([change('a')]), all([change('a', { change: 'gone' })]))).to.have.length(2);
    expect(otherThanRehearsed(all([change('a')]), all([change('a', { exact: 'x', masked: 'y' })]))).to.have.length(2);
  });

  it('may have other numbers in names and definitions, but not more objects', () => {
    const then = all([change('log_20261130'), change('t', { exact: 'x' })]);
    expect(otherThanRehearsed(then, all([change('log_20261201'), change('t', { exact: 'y' })]))).to.deep.equal([]);
    const more = all([change('log_20261201'), change('log_20261202'), change('t')]);
    expect(otherThanRehearsed(then, more)).to.deep.equal(['the table log_20261202 is new: not so in the rehearsal']);
    const random = [all([change('tmp_9f86d081884c')]), all([change('tmp_2c26b46b68ff')])] as const;
    expect(otherThanRehearsed(...random)).to.deep.equal([]);
  });

  it('take an object of the same name first', () => {
    const then = all([change('p1', { change: 'gone' }), change('p2')]);
    expect(otherThanRehearsed(then, all([change('p2'), change('p1', { change: 'gone' })]))).to.deep.equal([]);
  });

  it('are not held against definitions that another major version has written', () => {
    const now = all([change('a', { exact: 'x', masked: 'y' })], { postgres: 17 });
    expect(otherThanRehearsed(all([change('a')]), now)).to.deep.equal([]);
    expect(otherThanRehearsed(all([]), now)).to.have.length(1);
  });

  it('of rows: none may go or come that did not in the rehearsal; of those that did there need be none now', () => {
    const rows = (counts: MigrationChanges['counts']) => all([], { counts });
    expect(otherThanRehearsed(rows({ a: -1 }), rows({ a: -1 }))).to.deep.equal([]);
    expect(otherThanRehearsed(rows({ a: -1 }), rows({}))).to.deep.equal([]);
    expect(otherThanRehearsed(rows({}), rows({ a: -1 }))).to.deep.equal([
      'the table a has fewer rows: not so in the rehearsal',
    ]);
    expect(otherThanRehearsed(rows({ a: -1 }), rows({ a: 1 }))).to.deep.equal([
      'the table a has more rows: not so in the rehearsal',
    ]);
  });
});
