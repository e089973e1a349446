import { expect } from 'chai';
import { judgeWrites } from '../../../../../automation/gates/data/writes.ts';
import type { WriteLedger } from '../../../../../automation/journal/events.ts';

const verdicts = (writes: Partial<WriteLedger>, failed = 0, total = 1_000): Record<string, string> =>
  Object.fromEntries(
    judgeWrites({
      requests: { total, failed },
      writes: { acknowledged: 200, lost: 0, duplicated: 0, unknown: 0, ...writes },
      failures: [],
    }).map(({ name, verdict }) => [name, verdict]),
  );

describe('the gate of requests and writes', () => {
  it('passes where nothing failed and every write is there once', () => {
    expect(verdicts({})).to.deep.equal({
      'failed requests': 'pass',
      'lost writes': 'pass',
      'writes made twice': 'pass',
    });
    expect(verdicts({ increments: 100, incrementsLost: 0, incrementsDoubled: 0 })).to.include({
      'lost increments': 'pass',
      'increments made twice': 'pass',
    });
  });

  it('proves nothing about writes where the traffic only reads, and judges its requests', () => {
    const read = (failed: number) => judgeWrites({ requests: { total: 9, failed }, writes: undefined, failures: [] });
    expect(read(0).map(({ name, verdict }) => [name, verdict])).to.deep.equal([
      ['failed requests', 'pass'],
      ['acknowledged writes', 'not-run'],
    ]);
    expect(read(1)[0]?.verdict).to.equal('fail');
  });

  it('fails where a request failed, or a write is lost or double', () => {
    expect(verdicts({}, 1)['failed requests']).to.equal('fail');
    expect(verdicts({ lost: 1 })['lost writes']).to.equal('fail');
    expect(verdicts({ duplicated: 1 })['writes made twice']).to.equal('fail');
  });

  it('fails where increments are lost or double, although every row is there', () => {
    const increments = { increments: 100, incrementsLost: 0, incrementsDoubled: 0 };
    expect(verdicts({ ...increments, incrementsLost: 16 })['lost increments']).to.equal('fail');
    expect(verdicts({ ...increments, incrementsDoubled: 1 })['increments made twice']).to.equal('fail');
  });

  it('is inconclusive without a request or a write, and where increments were not looked up', () => {
    expect(verdicts({}, 0, 0)['failed requests']).to.equal('inconclusive');
    expect(verdicts({ acknowledged: 0 })['acknowledged writes']).to.equal('inconclusive');
    expect(verdicts({ increments: 100 })['acknowledged increments']).to.equal('inconclusive');
    expect(verdicts({ increments: 0, incrementsLost: 0, incrementsDoubled: 0 })['acknowledged increments']).to.equal(
      'inconclusive',
    );
  });
});
