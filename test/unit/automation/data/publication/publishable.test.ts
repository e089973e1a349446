import { expect } from 'chai';
import pg from 'pg';
import { tablesCanBePublished } from '../../../../../automation/data/publication/publishable.ts';
import { scriptedClient } from '../scripted-client.ts';

/** A table without a primary key, as the catalog shows it. */
const table = {
  schema: 'public',
  table: 'log',
  partitioned: false,
  owner: 'owner',
  columns: [],
  primary_key: [],
};
const identity = {
  root: '1',
  top: true,
  kind: 'r',
  name: 'public.log',
  sql: '"public"."log"',
  replident: 'd',
  key: [],
  replicaIndex: [],
  candidate: null,
  deferrable: null,
  unlogged: false,
  touch: null,
  columns: [],
};

function databaseError(code: string, message: string): pg.DatabaseError {
  const error = new pg.DatabaseError(message, message.length, 'error');
  error.code = code;
  return error;
}

describe('the reason why a table cannot be published', () => {
  const found = async (error: Error): Promise<string[]> => {
    const { client } = scriptedClient([
      [/^EXPLAIN/, error],
      [/relreplident/, [identity]],
      [/AS partitioned/, [table]],
    ]);
    return (await tablesCanBePublished(client)).map((finding) => finding.found);
  };

  it('is derived from the SQLSTATE, whatever the server’s language', async () => {
    const german = databaseError('55000', 'kann nicht aktualisieren, weil die Tabelle keine Replikatidentität hat');
    expect((await found(german))[0]).to.equal(
      'table public.log has no primary key: once published, every UPDATE and DELETE on it fails',
    );
    const other = databaseError('42501', 'no right to the replica identity');
    expect((await found(other))[0]).to.equal('table public.log cannot be published: no right to the replica identity');
  });
});
