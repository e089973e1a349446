import { expect } from 'chai';
import { createProgress, summary } from '../../../../automation/toolchain/progress.mjs';

const step = (name: string, lane: string, seconds: number, running = true) => ({
  name,
  what: '',
  lane,
  seconds,
  running,
});

describe('what is shown of a set-up', () => {
  it('is the time so far against the longest lane, and what is being done', () => {
    const steps = [step('system', 'system', 60, false), step('wapiti', 'system', 40), step('k6', 'k6', 20)];
    expect(summary(steps, 65)).to.equal('1:05 of about 1:40: wapiti, k6');
  });

  it('says what is usual once it takes longer', () => {
    expect(summary([step('pulumi', 'go', 210)], 300)).to.equal('5:00 (usually about 3:30): pulumi');
  });

  it('is one line on a terminal, rewritten in place and never wrapped', async () => {
    let text = '';
    const stream = { isTTY: true, columns: 30, write: (part: string) => (text += part) };
    const progress = createProgress(stream, () => 0);
    await progress.step({ name: 'k6', what: 'a name that is far too long to show', lane: 'go', seconds: 90 }, () => {
      progress.draw();
      progress.draw();
      return Promise.resolve();
    });
    const line = '  0:00 of about 1:30: k6';
    const erase = '\r\x1b[2K';
    expect(text).to.equal(
      `${line}${erase}${line}${erase}  k6             a name that is far too long to show: done in 0 s\n`,
    );
    text = '';
    const narrow = createProgress({ ...stream, columns: 10 }, () => 0);
    narrow.draw();
    expect(text).to.have.length(9);
    narrow.stop();
  });

  it('is a line at the start and one at the end in a log', async () => {
    let text = '';
    let now = 0;
    const progress = createProgress({ write: (part: string) => (text += part) }, () => now);
    await progress.step({ name: 'k6', what: '1.8.1 by Go', lane: 'go', seconds: 90 }, () => {
      now = 80_000;
      progress.draw();
      return Promise.resolve();
    });
    expect(text.split('\n')).to.deep.equal([
      '  k6             1.8.1 by Go (about 90 s)',
      '  1:20 of about 1:30: k6',
      '  k6             1.8.1 by Go: done in 80 s',
      '',
    ]);
  });

  it('expects no longer what was done sooner', async () => {
    let text = '';
    let now = 0;
    const progress = createProgress({ write: (part: string) => (text += part) }, () => now);
    const work = progress.step({ name: 'wapiti', what: '', lane: 'system', seconds: 40 }, async () => {
      now = 5_000;
      await progress.step({ name: 'k6', what: '', lane: 'go', seconds: 90 }, () => Promise.resolve());
      progress.draw();
    });
    await work;
    expect(text).to.include('  0:05 of about 0:40: wapiti\n');
  });

  it('says on a terminal, too, what is unusual about a step', async () => {
    let text = '';
    const stream = { isTTY: true, columns: 80, write: (part: string) => (text += part) };
    const begin = { name: 'k6', what: 'by Go', lane: 'go', seconds: 90, why: 'no answer' };
    await createProgress(stream, () => 0).step(begin, () => Promise.resolve());
    expect(text.split('\n')[0]).to.equal('  k6             by Go (about 90 s): no answer');
  });

  it('goes by the new expectation where a step has to take another way', async () => {
    let text = '';
    const progress = createProgress({ write: (part: string) => (text += part) }, () => 0);
    await progress.step({ name: 'k6', what: 'binary', lane: 'k6', seconds: 20 }, (change) => {
      change({ what: 'by Go', lane: 'go', seconds: 110 });
      progress.draw();
      return Promise.resolve();
    });
    expect(text).to.include('  k6             by Go (about 110 s)\n  0:00 of about 1:50: k6\n');
  });
});
