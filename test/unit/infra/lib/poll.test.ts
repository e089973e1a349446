import { expect } from 'chai';
import { describe, it } from 'mocha';
import { hasCode, OperationError } from '../../../../infra/lib/errors.ts';
import { poll, until } from '../../../../infra/lib/poll.ts';

const failure = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => expect.fail('resolved'),
    (error: unknown) => error,
  );

describe('poll', () => {
  it('looks until there is something, also something false', async () => {
    const answers = [undefined, undefined, false];
    expect(await poll(() => answers.shift(), { everyMs: 1, timeoutMs: 60_000 })).to.equal(false);
    expect(answers).to.be.empty;
  });

  it('looks once without any time, and gives undefined then', async () => {
    let looks = 0;
    const found = await poll(
      () => {
        looks += 1;
        return undefined;
      },
      { everyMs: 60_000, timeoutMs: 0 },
    );
    expect({ found, looks }).to.eql({ found: undefined, looks: 1 });
  });

  it('looks once more when the time is over, however long the pause is', async () => {
    const answers = [undefined, 'just in time'];
    expect(await poll(() => answers.shift(), { everyMs: 3_600_000, timeoutMs: 5 })).to.equal('just in time');
  });

  it('ends with what a look throws', async () => {
    const broken = () => Promise.reject(new Error('gone'));
    expect(await failure(poll(broken, { everyMs: 1, timeoutMs: 60_000 }))).to.have.property('message', 'gone');
  });

  it('ends its pause when the signal aborts', async () => {
    const stop = new AbortController();
    const waiting = poll(
      () => {
        setImmediate(() => stop.abort());
        return undefined;
      },
      { everyMs: 3_600_000, timeoutMs: 3_600_000, signal: stop.signal },
    );
    expect(await failure(waiting)).to.have.property('name', 'AbortError');
  });
});

describe('until', () => {
  const wait = { everyMs: 1, timeoutMs: 0, doing: 'waiting for the sun', todo: 'wait for spring' };

  it('resolves once the condition is met', async () => {
    const answers = ['dark', 'dawn', true] as const;
    let at = 0;
    await until(() => Promise.resolve(answers[at++] ?? 'past the end'), { ...wait, timeoutMs: 60_000 });
    expect(at).to.equal(3);
  });

  it('says what it found last, and has the code of a timeout', async () => {
    const error = await failure(until(() => Promise.resolve('it is dark'), wait));
    expect(error).to.be.instanceOf(OperationError);
    expect(hasCode(error, 'timeout')).to.equal(true);
    expect((error as Error).message).to.equal('waiting for the sun: after 0 s: it is dark\n  wait for spring');
  });
});
