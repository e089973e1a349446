import { expect } from 'chai';
import { linkBetween, type Side } from '../../../../../automation/data/link.ts';
import { noTries, revive } from '../../../../../automation/data/replication/revive.ts';
import { scriptedClient } from '../scripted-client.ts';

const link = linkBetween({ colour: 'blue' } as Side, { colour: 'green' } as Side);
const stopped = { enabled: false, worker: false, tables: 1, ready: 1 };

/** Messages of pgoutput: a transaction, a table of one column `id`, and the deletion of its row 1. */
function deletionFrom(table: string): { data: Buffer }[] {
  const relation = `R\0\0\0\x07public\0${table}\0d\0\x01\x01id\0\0\0\0\x17\xff\xff\xff\xff`;
  const deletion = 'D\0\0\0\x07K\0\x01t\0\0\0\x011';
  const begin = `B${'\0'.repeat(7)}\x01${'\0'.repeat(12)}`;
  return [begin, relation, deletion].map((text) => ({ data: Buffer.from(text, 'latin1') }));
}

describe('a replication that has stopped', () => {
  const revived = async (table: string, tables: string[]): Promise<boolean> => {
    const source = scriptedClient([[/^FETCH/, deletionFrom(table)]]);
    const target = scriptedClient([
      [/AS enabled/, [stopped]],
      [/AS lsn/, [{ lsn: '1' }]],
      [/AS found_by/, tables.includes(table) ? [{ kind: 'r', columns: [{ name: 'id' }], found_by: ['id'] }] : []],
    ]);
    const started = await revive(link, source.client, target.client, noTries());
    expect(target.seen.some((sql) => sql.includes('ENABLE'))).to.equal(started);
    return started;
  };

  it('is restarted unless a conflict is certain, whatever the name of the next change’s table', async () => {
    for (const table of ['lessons', 'is already on', 'does not exist', 'while copying'])
      expect(await revived(table, [table]), table).to.equal(true);
  });

  it('stays off if the subscriber lacks the table of the next change', async () => {
    expect(await revived('lessons', ['others'])).to.equal(false);
  });
});
