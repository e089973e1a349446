import { CloudWatchClient, type GetMetricDataCommandOutput, type StatusCode } from '@aws-sdk/client-cloudwatch';
import { expect } from 'chai';
import { percentile } from '../../../../../../automation/canary/judge.ts';
import { questionsAbout, trafficOf } from '../../../../../../infra/aws/runtime/metrics/metrics.ts';
import {
  metricData,
  type Series,
  askedPercents,
  mostValues,
  spread,
} from '../../../../../../infra/aws/runtime/metrics/data.ts';

describe('latencies from quantiles', () => {
  const all = [0, ...askedPercents, 100];

  it('are as many as there were requests, with the same quantiles', () => {
    // Exponential: a long tail.
    const quantile = (percent: number) => -100 * Math.log(1 - Math.min(percent, 99.99) / 100);
    const values = spread([{ quantiles: all.map((percent) => ({ percent, value: quantile(percent) })), count: 2000 }]);
    expect(values).to.have.length(2000);
    for (const percent of [50, 90, 95, 99])
      expect(percentile(values, percent / 100)).to.be.closeTo(quantile(percent), quantile(percent) * 0.02);
  });

  it('of one request are in the middle, and of none are none', () => {
    const points = [
      { percent: 0, value: 10 },
      { percent: 50, value: 20 },
      { percent: 100, value: 90 },
    ];
    expect(spread([{ quantiles: points, count: 1 }])).to.deep.equal([20]);
    expect(spread([{ quantiles: points, count: 0 }])).to.deep.equal([]);
    expect(spread([{ quantiles: [], count: 5 }])).to.deep.equal([]);
    expect(spread([{ quantiles: [{ percent: 95, value: 7 }], count: 3 }])).to.deep.equal([7, 7, 7]);
  });

  it('do not fall where estimates cross, and leave out what is no time', () => {
    const quantiles = [
      { percent: 0, value: 5 },
      { percent: 50, value: 9 },
      { percent: 95, value: 8 },
      { percent: 100, value: Number.NaN },
    ];
    const values = spread([{ quantiles, count: 10 }]);
    expect(values).to.deep.equal(values.toSorted((a, b) => a - b));
    expect(Math.max(...values)).to.equal(9);
  });

  it('are bounded over a long time, with the same quantiles, and every period has its share', () => {
    const quantile = (percent: number) => -100 * Math.log(1 - Math.min(percent, 99.99) / 100);
    const quantiles = all.map((percent) => ({ percent, value: quantile(percent) }));
    // Ten hours at 100 requests per second: eight values of each minute, or nine.
    const even = spread(Array.from({ length: 600 }, () => ({ quantiles, count: 6000 })));
    expect(even).to.have.length.within(mostValues - 1, mostValues);
    for (const percent of [5, 50, 90, 95, 99])
      expect(percentile(even, percent / 100), `p${percent}`).to.be.closeTo(quantile(percent), quantile(percent) * 0.03);
    // A tenth of the minutes has half of the requests, and is slow.
    const slow = quantiles.map(({ percent, value }) => ({ percent, value: value + 10_000 }));
    const uneven = spread(
      Array.from({ length: 600 }, (_, minute) =>
        minute % 10 === 0 ? { quantiles: slow, count: 9000 } : { quantiles, count: 1000 },
      ),
    );
    expect(uneven.filter((value) => value >= 10_000).length / uneven.length).to.be.closeTo(0.5, 0.001);
    const fast = uneven.filter((value) => value < 10_000);
    expect(percentile(fast, 0.95)).to.be.closeTo(quantile(95), quantile(95) * 0.03);
  });
});

describe('traffic of a target group', () => {
  const questions = questionsAbout('targetgroup/a/1', 'app/entry/1');
  /** Answers to the questions: by metric and statistic, one value in one period. */
  const given = (values: Record<string, number>): Series[] =>
    questions.map(({ metric, stat }) => {
      const value = values[`${metric} ${stat}`];
      return new Map(value === undefined ? [] : [[60_000, value]]);
    });
  const own = (count: number): Series => new Map([[60_000, count]]);
  const counts = {
    'RequestCount Sum': 100,
    'HTTPCode_Target_2XX_Count Sum': 90,
    'HTTPCode_Target_4XX_Count Sum': 3,
    'HTTPCode_Target_5XX_Count Sum': 2,
  };

  it('asks for sums, and for quantiles of the time', () => {
    expect(questions.map(({ metric, stat }) => `${metric} ${stat}`)).to.include.members([
      ...Object.keys(counts),
      'TargetResponseTime SampleCount',
      'TargetResponseTime p95',
    ]);
    for (const { dimensions } of questions)
      expect(dimensions).to.deep.equal({ TargetGroup: 'targetgroup/a/1', LoadBalancer: 'app/entry/1' });
  });

  it('counts as errors what the targets failed, and what they never answered where the balancer said so', () => {
    expect(trafficOf([given(counts)], new Map())).to.include({ requests: 100, errors: 2 });
    expect(trafficOf([given(counts)], own(3))).to.include({ requests: 100, errors: 5 });
    expect(trafficOf([given(counts)], own(50))).to.include({ requests: 100, errors: 7 });
  });

  it('never has more errors than requests', () => {
    const late = { 'RequestCount Sum': 1, 'HTTPCode_Target_5XX_Count Sum': 4 };
    expect(trafficOf([given(late)], own(9))).to.include({ requests: 4, errors: 4 });
  });

  it('has times in milliseconds, as many as there are samples', () => {
    const times = {
      'TargetResponseTime SampleCount': 4,
      'TargetResponseTime Minimum': 0.1,
      'TargetResponseTime Maximum': 0.5,
    };
    expect(trafficOf([given(times)], new Map()).latenciesMs.map(Math.round)).to.deep.equal([150, 250, 350, 450]);
    expect(trafficOf([given({ ...counts, 'TargetResponseTime SampleCount': 4 })], new Map()).latenciesMs).to.deep.equal(
      [],
    );
  });

  it('has no times where the slowest is not known: a few quantiles would make a tail that was not measured', () => {
    const times = {
      'TargetResponseTime SampleCount': 4,
      'TargetResponseTime Minimum': 0.1,
      'TargetResponseTime p50': 0.2,
    };
    expect(trafficOf([given({ ...counts, ...times })], new Map()).latenciesMs).to.deep.equal([]);
  });

  it('is nothing where nothing was told', () => {
    expect(trafficOf([given({})], own(5))).to.deep.equal({
      requests: 0,
      errors: 0,
      writes: 0,
      splitReads: 0,
      latenciesMs: [],
      timed: 0,
    });
  });

  it('of several groups is taken together, and says of how many requests the bounded times are', () => {
    const many = {
      ...counts,
      'TargetResponseTime SampleCount': 90_000,
      'TargetResponseTime Minimum': 0.1,
      'TargetResponseTime Maximum': 0.5,
    };
    const few = { ...many, 'TargetResponseTime SampleCount': 10_000 };
    const { latenciesMs, ...rest } = trafficOf([given(many), given(few)], new Map());
    expect(rest).to.deep.equal({ requests: 200, errors: 4, writes: 0, splitReads: 0, timed: 100_000 });
    expect(latenciesMs).to.have.length(mostValues);
  });
});

describe('answers of CloudWatch', () => {
  const question = (metric: string) => ({ namespace: 'AWS/ApplicationELB', metric, dimensions: {}, stat: 'Sum' });
  const window = { from: 60_000, to: 120_000, periodSeconds: 60 };
  /** A client whose pages are these, one after the other: per page, the series that are there, with what is said of them. */
  const saying = (pages: { more?: true; series: [id: string, StatusCode, ...values: number[]][] }[]) => {
    const client = new CloudWatchClient({ region: 'eu-central-1' });
    client.send = (() => {
      const { more, series } =
        pages.length > 1 ? (pages.shift() as (typeof pages)[0]) : (pages[0] as (typeof pages)[0]);
      const MetricDataResults = series.map(([Id, StatusCode, ...Values]) => ({
        Id,
        StatusCode,
        Values,
        Timestamps: Values.map((_, i) => new Date(60_000 * (i + 1))),
      }));
      const answer: GetMetricDataCommandOutput = {
        $metadata: {},
        MetricDataResults,
        ...(more && { NextToken: 'next' }),
      };
      return Promise.resolve(answer);
    }) as typeof client.send;
    return client;
  };

  it('are taken together where a series comes in parts', async () => {
    const client = saying([{ more: true, series: [['q0', 'PartialData', 1]] }, { series: [['q0', 'Complete', 2, 3]] }]);
    const [series] = await metricData(client, [question('RequestCount')], window);
    expect([...(series ?? [])]).to.deep.equal([
      [60_000, 2],
      [120_000, 3],
    ]);
  });

  it('are asked for again where one of them is not whole', async () => {
    const client = saying([
      {
        series: [
          ['q0', 'Complete', 9],
          ['q1', 'InternalError'],
        ],
      },
      {
        series: [
          ['q0', 'Complete', 9],
          ['q1', 'Complete', 4],
        ],
      },
    ]);
    const answers = await metricData(client, [question('RequestCount'), question('HTTPCode_Target_5XX_Count')], window);
    expect(answers.map((series) => series.get(60_000))).to.deep.equal([9, 4]);
  });

  it('never pass for none where they do not come', async () => {
    for (const series of [
      [['q0', 'Complete', 9]],
      [
        ['q0', 'Complete', 9],
        ['q1', 'Forbidden'],
      ],
    ] as [string, StatusCode, ...number[]][][]) {
      const asked = metricData(
        saying([{ series }]),
        [question('RequestCount'), question('HTTPCode_Target_5XX_Count')],
        window,
      );
      expect(
        await asked.then(
          () => 'it was taken',
          (error: unknown) => (error as Error).message,
        ),
      ).to.contain('1 of 2 series');
    }
  }).timeout(20_000);
});
