import { expect } from 'chai';
import type { Table } from '../../../../automation/data/catalog.ts';
import { endFor } from '../../../../automation/release/steps/announce.ts';
import type { JournalEntry, TableComparison } from '../../../../automation/journal/events.ts';
import { describeExtension, extensionOf } from '../../../../automation/journal/extension.ts';
import {
  describeLoss,
  lossForUsers,
  lossless,
  lossOf,
  shortLoss,
  unsalvaged,
  type Loss,
} from '../../../../automation/journal/loss.ts';
import { lossOfReads } from '../../../../automation/release/steps/traffic/record-rollback.ts';
import { wayBackLossless } from '../../../../automation/report/model/proofs.ts';
import { happeningsOf } from '../../../../automation/ui/happenings.ts';

const equal = (table: string, rows = 5): TableComparison => ({ table, rows: { left: rows, right: rows }, equal: true });
const accounts = equal('public.accounts');
/** What the new version alone has. */
const streaks = (rows: number): TableComparison => ({
  table: 'public.streaks',
  rows: { left: rows, right: 0 },
  equal: true,
  only: 'left',
});
const progress = (rows: number): TableComparison => ({ ...equal('public.progress', rows), leftColumns: ['points'] });
const different: TableComparison = { table: 'public.orders', rows: { left: 5, right: 4 }, equal: false };

/** Every sentence that says something of the data, for whoever reads it. */
const sentences = (loss: Loss) => {
  const entry = { type: 'rollback.done', ms: 1, loss, detail: 'blue is live again' } as JournalEntry;
  return [
    shortLoss(loss),
    describeLoss(loss),
    lossForUsers(loss),
    endFor([entry], 'rolled-back'),
    ...happeningsOf(entry, String).map(({ text }) => text),
  ];
};
const promised = /nothing (was )?lost/;

describe('what a way back lost', () => {
  it('is nothing where every row and column was equal, and nothing stayed behind', () => {
    for (const compared of [[accounts], [accounts, streaks(0)], [accounts, progress(0)]]) {
      const loss = lossOf(compared);
      expect(loss).to.deep.equal({ kind: 'none', because: 'compared' });
      expect(lossless(loss)).to.equal(true);
      for (const sentence of sentences(loss)) expect(sentence).to.match(promised);
    }
  });

  it('is no loss for a table that the version before alone has: its rows are where they were', () => {
    const right: TableComparison = { table: 'public.old', rows: { left: 0, right: 9 }, equal: true, only: 'right' };
    expect(lossOf([accounts, right]).kind).to.equal('none');
  });

  it('is not known where an earlier version recorded the way back, whatever that one said', () => {
    const entry = {
      type: 'rollback.done',
      ms: 1,
      lossless: true,
      detail: 'blue is live again',
    } as unknown as JournalEntry;
    expect(endFor([entry], 'rolled-back')).to.contain('was not checked');
    expect(happeningsOf(entry, String)[0]?.text).to.contain('not compared: an earlier version');
  });

  it('is not known of a way back that is not finished, however well the replication back stands', () => {
    const facts = {
      rollback: { ms: null, loss: null, lossless: null },
      data: { extension: null, gap: null, sync: [{ direction: 'reverse', tablesReady: 3, tables: 3, lagMs: 1 }] },
    } as unknown as Parameters<typeof wayBackLossless>[0];
    expect(wayBackLossless(facts)).to.include({
      verdict: 'inconclusive',
      measured: 'the rollback has not finished',
    });
  });

  it('names tables and columns that only the new version has, with their rows', () => {
    const loss = lossOf([accounts, streaks(12), progress(34)]);
    expect(lossless(loss)).to.equal(false);
    expect(describeLoss(loss)).to.equal(
      'all that both versions know is equal; left behind: table public.streaks (12 rows), column public.progress.points (of 34 rows)',
    );
    for (const sentence of sentences(loss)) expect(sentence).not.to.match(promised);
    expect(endFor([{ type: 'rollback.done', ms: 1, loss, detail: '' } as JournalEntry], 'rolled-back')).to.equal(
      'was taken back; the version before is live, all that the version before knows is there; what was entered in parts that are new in it is not there now',
    );
  });

  it('is none of what is kept aside, which is named and comes back, and users are not told that nothing was lost [D9]', () => {
    const kept = {
      tables: [{ table: 'public.streaks', rows: 12 }],
      columns: [{ table: 'public.progress', columns: ['points'], rows: 3 }],
      unfit: [],
    };
    const loss = lossOf([accounts, streaks(12), progress(34)], kept);
    expect(lossless(loss)).to.equal(true);
    expect(describeLoss(loss)).to.equal(
      'all that both versions know is equal; kept aside, and brought back when the version is tried again: table public.streaks (12 rows), column public.progress.points (of 3 rows)',
    );
    for (const sentence of sentences(loss)) expect(sentence).not.to.match(promised);
    expect(lossForUsers(loss)).to.contain('is kept, and comes back with them');
  });

  it('is not softened by what is kept where contents differ, and names rows that the old schema cannot hold', () => {
    const kept = {
      tables: [{ table: 'public.streaks', rows: 2 }],
      columns: [],
      unfit: [{ table: 'public.orders', rows: 1 }],
    };
    const loss = lossOf([different, streaks(2)], kept);
    expect(lossless(loss)).to.equal(false);
    expect(describeLoss(loss)).to.equal(
      'WITH LOSS: the contents differ in public.orders; the old schema cannot hold 1 row of public.orders, kept aside; kept aside, and brought back when the version is tried again: table public.streaks (2 rows)',
    );
    for (const sentence of sentences(loss)) expect(sentence).not.to.match(promised);
  });

  it('is what was stated where somebody accepted it: counted, or unknown, and never nothing [C4]', () => {
    const because = 'the database of green does not answer (ECONNREFUSED)';
    const counted: Loss = {
      kind: 'accepted',
      because: 'the slot is lost',
      lost: ['public.orders: 3 rows only on green'],
    };
    const unknown: Loss = { kind: 'accepted', because };
    expect(describeLoss(counted)).to.equal('WITH LOSS of public.orders: 3 rows only on green (the slot is lost)');
    expect(describeLoss(unknown)).to.equal(`WITH LOSS, how much is unknown: ${because}`);
    for (const loss of [counted, unknown]) {
      expect(lossless(loss)).to.equal(false);
      for (const sentence of sentences(loss)) expect(sentence).not.to.match(promised);
    }
  });

  it('is told where contents differ, whatever stayed behind besides', () => {
    for (const compared of [
      [accounts, different],
      [accounts, different, streaks(2)],
    ]) {
      const loss = lossOf(compared);
      expect(lossless(loss)).to.equal(false);
      expect(describeLoss(loss)).to.contain('differ in public.orders');
      for (const sentence of sentences(loss)) expect(sentence).not.to.match(promised);
    }
    expect(describeLoss(lossOf([different, streaks(2)]))).to.contain('left behind: table public.streaks (2 rows)');
  });

  it('is not known where nothing was compared', () => {
    const loss = lossOf([]);
    expect(lossless(loss)).to.equal(undefined);
    for (const sentence of sentences(loss)) expect(sentence).not.to.match(promised);
    expect(sentences(loss).join()).to.contain('was not checked');
  });

  it('is nothing where reads alone had moved, and not known where a cutover back was cut off', () => {
    expect(lossOfReads([])).to.deep.equal({ kind: 'none', because: 'no write had moved' });
    const cutOff = [{ type: 'action.intent', id: 'cutover/rollback', what: '' } as JournalEntry];
    expect(lossOfReads(cutOff).kind).to.equal('not-compared');
    expect(lossOfReads([{ type: 'cutover.done' } as JournalEntry]).kind).to.equal('not-compared');
  });
});

describe('writes that a rollback has left in the other database', () => {
  const release = (id: string, ...entries: object[]) => ({
    id,
    entries: entries as JournalEntry[],
    started: { to: { colour: 'green' } },
  });
  const accepted = { type: 'rollback.done', loss: { kind: 'accepted', because: 'x' } };
  const discarded = { type: 'loss.discarded', release: 'a' };

  it('are there until somebody discards them, whatever was tried since', () => {
    expect(unsalvaged([release('a', accepted)], 'green')).to.equal('a');
    expect(unsalvaged([release('b'), release('a', accepted)], 'green')).to.equal('a');
    expect(unsalvaged([release('b', discarded), release('a', accepted)], 'green')).to.equal(undefined);
    expect(unsalvaged([release('c', accepted), release('b', discarded), release('a', accepted)], 'green')).to.equal(
      'c',
    );
  });

  it('are none of the colour that is live, nor of an ordinary rollback', () => {
    expect(unsalvaged([release('a', accepted)], 'blue')).to.equal(undefined);
    expect(unsalvaged([release('a', { type: 'rollback.done', loss: { kind: 'none' } })], 'green')).to.equal(undefined);
    expect(unsalvaged([], 'green')).to.equal(undefined);
  });
});

describe('how a release ended, for users', () => {
  const started = (from: boolean) =>
    ({ type: 'release.started', environment: 'production', ...(from ? { from: {} } : {}) }) as JournalEntry;
  const applied = (stack: string) => ({ type: 'stack.applied', stack }) as JournalEntry;

  it('says that it was not released where nothing had moved, and nothing of the data', () => {
    for (const verdict of ['no-go', 'failed', 'aborted', 'rolled-back'] as const)
      expect(endFor([started(true), applied('production-traffic')], verdict)).to.equal('was not released');
  });

  it('says that a first go-live is live once its entry point was opened, whatever failed then', () => {
    expect(endFor([started(false), applied('production-traffic')], 'rolled-back')).to.equal('is live');
    expect(endFor([started(false), applied('staging-traffic')], 'failed')).to.equal('was not released');
    expect(endFor([started(false)], 'go')).to.equal('is live');
  });
});

describe('what a way back would leave behind', () => {
  const table = (name: string, ...columns: string[]) => ({ name, columns: columns.map((c) => ({ name: c })) }) as Table;

  it('is what the migrations add to the schema', () => {
    const before = [table('public.progress', 'id'), table('public.lessons', 'id')];
    const after = [
      table('public.lessons', 'id'),
      table('public.progress', 'id', 'points'),
      table('public.streaks', 'id'),
    ];
    const extension = extensionOf(before, after);
    expect(extension).to.deep.equal({
      tables: ['public.streaks'],
      columns: [{ table: 'public.progress', columns: ['points'] }],
    });
    expect(describeExtension(extension)).to.equal(
      'a rollback would keep aside what is written to table public.streaks; column public.progress.points, until the version is tried again',
    );
  });

  it('is said to be nothing where they add nothing', () => {
    const same = [table('public.lessons', 'id')];
    expect(describeExtension(extensionOf(same, same))).to.contain('has nothing to keep aside');
  });
});
