import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { OperationError } from '../../../../infra/lib/errors.ts';
import type { Event, JournalEntry } from '../../../../automation/journal/events.ts';
import { openJournal, readJournal } from '../../../../automation/journal/journal.ts';
import { createRedactor } from '../../../../infra/lib/redact.ts';

const note = (text: string): Event => ({ type: 'note', level: 'info', text });
const texts = (entries: readonly JournalEntry[]): string[] => entries.map((e) => (e.type === 'note' ? e.text : e.type));

describe('journal', () => {
  let directory: string;
  let file: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'journal-'));
    file = join(directory, 'journal.jsonl');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (...lines: string[]): void => {
    const journal = openJournal(directory);
    for (const line of lines) journal.append(note(line));
    journal.close();
  };
  const lines = (): string[] => readFileSync(file, 'utf8').trimEnd().split('\n');

  it('has an entry on disk, numbered, dated and chained, before append returns', () => {
    const journal = openJournal(directory);
    journal.append(note('one'));
    const second = journal.append(note('two\nlines "and" ünicode'));
    expect(readJournal(file).entries).to.deep.equal([...journal.entries()]);
    expect(second.seq).to.equal(2);
    expect(second.prev).to.match(/^[0-9a-f]{64}$/);
    expect(new Date(second.at).toISOString()).to.equal(second.at);
    journal.close();
  });

  it('goes on with numbers and chain when it is opened again', () => {
    write('one', 'two');
    write('three');
    const { entries, damage } = readJournal(file);
    expect(texts(entries)).to.deep.equal(['one', 'two', 'three']);
    expect(damage).to.equal(undefined);
  });

  it('survives a cut after every single byte of its last line', () => {
    write('one', 'two');
    const whole = readFileSync(file);
    const start = whole.indexOf(0x0a) + 1;
    for (let cut = start + 1; cut < whole.length; cut += 1) {
      writeFileSync(file, whole.subarray(0, cut));
      expect(readJournal(file).damage).to.include({ kind: 'cut-off', line: 2 });
      const journal = openJournal(directory);
      expect(texts(journal.entries())[0]).to.equal('one');
      expect(texts(journal.entries())[1]).to.include('line 2 of the journal was removed');
      journal.close();
      expect(readJournal(file)).to.have.property('entries').with.length(2);
      expect(readJournal(file).damage).to.equal(undefined);
    }
  });

  const alterations: [string, (all: string[]) => string[], number][] = [
    ['an edited line', ([a, b, c]) => [a!, b!.replace('two', 'TWO'), c!], 2],
    ['a lost line', ([a, , c]) => [a!, c!], 2],
    ['a line twice', ([a, b, c]) => [a!, b!, b!, c!], 3],
    ['lines in another order', ([a, b, c]) => [b!, a!, c!], 1],
    ['a lost first line', ([, b, c]) => [b!, c!], 1],
    ['a line that is no JSON', ([a, , c]) => [a!, '\0\0\0\0', c!], 2],
    ['an empty line', ([a, b, c]) => [a!, '', b!, c!], 2],
    ['a line of JSON that is no entry', ([a, b, c]) => [a!, b!, 'null', c!], 3],
  ];
  for (const [what, alter, line] of alterations) {
    it(`refuses to go on after ${what}, and reads what is before it`, () => {
      write('one', 'two', 'three');
      writeFileSync(file, `${alter(lines()).join('\n')}\n`);
      const read = readJournal(file);
      expect(read.damage).to.include({ kind: 'altered', line });
      expect(read.entries.length).to.be.below(line);
      const before = readFileSync(file);
      expect(() => openJournal(directory)).to.throw(OperationError, `line ${line}`);
      expect(readFileSync(file).equals(before), 'the evidence is untouched').to.equal(true);
    });
  }

  it('tells a cut-off line from damage that is before it', () => {
    write('one', 'two', 'three');
    writeFileSync(file, `${lines().join('\n').replace('one', 'ONE')}`);
    expect(readJournal(file).damage).to.include({ kind: 'altered', line: 1 });
  });

  it('masks secrets in what it writes and in what it gives to listeners', () => {
    const redactor = createRedactor();
    redactor.register('quo"te\nnew-line');
    const seen: JournalEntry[] = [];
    const journal = openJournal(directory, { redactor, onEntry: (entry) => seen.push(entry) });
    journal.append(note('password is quo"te\nnew-line'));
    journal.close();
    expect(texts(seen)).to.deep.equal(['password is ***']);
    expect(readFileSync(file, 'utf8')).not.to.include('quo');
  });

  it('gives every listener all entries in the same order, also those that a listener appends', () => {
    const journal = openJournal(directory);
    const first: string[] = [];
    const second: string[] = [];
    journal.subscribe((entry) => {
      first.push(...texts([entry]));
      if (entry.seq === 1) journal.append(note('from the listener'));
    });
    const leave = journal.subscribe((entry) => second.push(...texts([entry])));
    journal.append(note('one'));
    leave();
    journal.append(note('two'));
    journal.close();
    expect(first).to.deep.equal(['one', 'from the listener', 'two']);
    expect(second).to.deep.equal(['one', 'from the listener']);
  });

  it('drops a listener that throws, and says so', () => {
    const journal = openJournal(directory);
    let calls = 0;
    journal.subscribe(() => {
      calls += 1;
      throw new Error('broken pipe');
    });
    journal.append(note('one'));
    journal.append(note('two'));
    journal.close();
    expect(calls).to.equal(1);
    expect(texts(journal.entries())[1]).to.include('broken pipe');
  });

  it('does not keep an entry that the disk did not take', () => {
    const journal = openJournal(directory);
    journal.append(note('one'));
    journal.close();
    expect(() => journal.append(note('two'))).to.throw(OperationError, 'EBADF');
    expect(journal.entries()).to.have.length(1);
  });

  it('says what to do about a journal that is not there', () => {
    expect(() => readJournal(join(directory, 'none.jsonl'))).to.throw(OperationError, /ENOENT/);
  });

  it('ignores what was appended without a newline', () => {
    write('one');
    appendFileSync(file, '{"seq":2,"at":"x","prev":"y","type":"note"}');
    expect(readJournal(file).entries).to.have.length(1);
  });
});
