import { expect } from 'chai';
import { action, unfinishedActions } from '../../../../automation/journal/actions.ts';
import type { Event } from '../../../../automation/journal/events.ts';

describe('actions in the journal', () => {
  const entry = (event: Event, seq: number) => ({ ...event, seq, at: '', prev: '' });
  const recorder = () => {
    const events: Event[] = [];
    return {
      events,
      append: (event: Event) => (events.push(event), entry(event, events.length)),
    };
  };

  it('are announced before they run, and recorded with their result', async () => {
    const journal = recorder();
    const value = await action(
      journal,
      'flip',
      'send writes to green',
      () => {
        expect(journal.events).to.deep.equal([{ type: 'action.intent', id: 'flip', what: 'send writes to green' }]);
        return 7;
      },
      (n) => `${n} ms`,
    );
    expect(value).to.equal(7);
    expect(journal.events[1]).to.include({ type: 'action.done', id: 'flip', result: '7 ms' });
  });

  it('are recorded as failed, and their error goes on', async () => {
    const journal = recorder();
    const error = await action(journal, 'flip', 'flip', () => Promise.reject(new Error('socket gone'))).catch(
      (e: unknown) => e,
    );
    expect(error).to.be.an('error').with.property('message', 'socket gone');
    expect(journal.events[1]).to.include({ type: 'action.failed', id: 'flip', error: 'socket gone' });
  });

  it('are unfinished while they have no end', () => {
    const entries = [
      entry({ type: 'action.intent', id: 'a', what: 'first' }, 1),
      entry({ type: 'action.done', id: 'a', ms: 1 }, 2),
      entry({ type: 'action.intent', id: 'b', what: 'second' }, 3),
      entry({ type: 'action.failed', id: 'b', ms: 1, error: 'x' }, 4),
      entry({ type: 'action.intent', id: 'b', what: 'second, again' }, 5),
    ];
    expect(unfinishedActions(entries)).to.deep.equal([{ id: 'b', what: 'second, again' }]);
  });
});
