import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { openJournal, readJournal } from '../../../../automation/journal/journal.ts';

const journalModule = join(import.meta.dirname, '../../../../automation/journal/journal.ts');
const writer = `
  const { openJournal } = await import(${JSON.stringify(journalModule)});
  const journal = openJournal(process.argv[1]);
  try { for (;;) journal.append({ type: 'note', level: 'info', text: 'x'.repeat(300) }); }
  catch (error) { console.log(JSON.stringify({ name: error.name, todo: error.todo, kept: journal.entries().length })); }`;

describe('journal on a full disk', () => {
  it('refuses the entry that does not fit, keeps all before it, and goes on when there is room', () => {
    const directory = mkdtempSync(join(tmpdir(), 'journal-full-'));
    try {
      // A file size limit of 4 blocks makes the write fail half-way through a line, as a full disk does.
      const command = `ulimit -f 4; exec "$0" --input-type=module -e "$1" "$2"`;
      const run = spawnSync('bash', ['-c', command, process.execPath, writer, directory], { encoding: 'utf8' });
      const said = JSON.parse(run.stdout) as { name: string; todo: string; kept: number };
      expect(said).to.include({ name: 'OperationError' });
      expect(said.todo).to.include('disk space');
      const read = readJournal(join(directory, 'journal.jsonl'));
      expect(read.damage).to.equal(undefined);
      expect(read.entries).to.have.length(said.kept).above(2);
      const journal = openJournal(directory);
      expect(journal.append({ type: 'note', level: 'info', text: 'room again' }).seq).to.equal(said.kept + 1);
      journal.close();
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
