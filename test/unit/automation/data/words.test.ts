import { expect } from 'chai';
import pg from 'pg';
import { wordsOf } from '../../../../automation/data/words.ts';

const said = (message: string, code: string): pg.DatabaseError =>
  Object.assign(new pg.DatabaseError(message, message.length, 'error'), {
    code,
    detail: 'Failing row contains (secret)',
  });

describe('what PostgreSQL says, without values', () => {
  it('has no value that a type refuses, wherever it stands', () => {
    expect(wordsOf(said('invalid input value for enum mood: "secret"', '22P02'))).to.equal(
      'invalid input value for enum mood',
    );
    expect(wordsOf(said('value "3000000000" is out of range for type integer', '22003'))).to.equal(
      'a value is out of range for type integer',
    );
  });

  it('has no value that was sent, and keeps names', () => {
    const raised = said('"name" may not be secret, or secretive', 'P0001');
    expect(wordsOf(raised, ['secret', null, '', 'name'])).to.equal('"name" may not be ..., or secretive');
  });
});
