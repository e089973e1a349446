import { expect } from 'chai';
import {
  passwordStatement,
  privilegeStatements,
  roleStatements,
  sqlIdentifier,
  sqlLiteral,
} from '../../../../infra/application/roles.ts';

describe('statements that make the roles', () => {
  it('are one line each, whatever is in the passwords', () => {
    const awkward = "it's\n\r\\'; DROP ROLE owner; --";
    const statements = [...roleStatements({ owner: awkward, app: awkward }), ...privilegeStatements()];
    for (const statement of statements) expect(statement).to.not.match(/[\n\r]/);
  });

  it('quote a string so that it stays one', () => {
    expect(sqlLiteral('plain')).to.equal("E'plain'");
    expect(sqlLiteral("it's")).to.equal("E'it''s'");
    expect(sqlLiteral("\\'")).to.equal("E'\\\\'''");
    expect(sqlLiteral('two\nlines')).to.equal("E'two\\nlines'");
    expect(() => sqlLiteral('a\0b')).to.throw(TypeError);
  });

  it('quote a name so that it stays one', () => {
    expect(sqlIdentifier('a"b')).to.equal('"a""b"');
    expect(passwordStatement('o"r', 'x')).to.equal(`ALTER ROLE "o""r" PASSWORD E'x'`);
  });

  it('make the given administrator a member of the owner, and nobody a member of the writers', () => {
    const statements = roleStatements({ owner: 'x', app: 'y' }, 'root');
    expect(statements).to.include('GRANT owner TO "root"').and.include('GRANT app_reader TO app');
    expect(statements.filter((statement) => statement.includes('GRANT app_writer'))).to.deep.equal([]);
    expect(privilegeStatements('root').at(-1)).to.contain('AUTHORIZATION "root"');
  });
});
