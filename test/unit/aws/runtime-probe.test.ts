import { expect } from 'chai';
import { agrees, probePaths, sampleSize, summary, type ProbeAnswer } from '../../../infra/aws/runtime/probe.ts';
import { spec } from './declared.ts';

const answers = (blue: number, green: number, before: ProbeAnswer[] = []): ProbeAnswer[] => [
  ...before,
  ...Array.from({ length: blue }, () => ({ status: 200, colour: 'blue' })),
  ...Array.from({ length: green }, () => ({ status: 200, colour: 'green' })),
];

describe('probes of the entry point', () => {
  it('agree with all reads at one colour after twenty in a row', () => {
    expect(agrees(answers(20, 0), { live: 'blue', percent: 0 })).to.equal(true);
    expect(agrees(answers(19, 0), { live: 'blue', percent: 0 })).to.equal(false);
    expect(agrees(answers(20, 0, answers(0, 50)), { live: 'blue', percent: 0 })).to.equal(true);
    expect(agrees(answers(19, 1), { live: 'blue', percent: 0 })).to.equal(false);
    expect(agrees(answers(0, 20), { live: 'blue', percent: 100 })).to.equal(true);
    expect(agrees(answers(20, 0), { live: 'blue', percent: 100 })).to.equal(false);
  });

  it('agree with a share in between within the bounds of chance, each colour seen', () => {
    const half = { live: 'blue', percent: 50 } as const;
    expect(sampleSize(50)).to.equal(60);
    expect(agrees(answers(30, 30), half)).to.equal(true);
    expect(agrees(answers(45, 15), half)).to.equal(true);
    expect(agrees(answers(47, 13), half)).to.equal(false);
    expect(agrees(answers(60, 0), half)).to.equal(false);
    const few = { live: 'blue', percent: 1 } as const;
    expect(sampleSize(1)).to.equal(300);
    expect(agrees(answers(300, 0), few)).to.equal(false);
    expect(agrees(answers(299, 1), few)).to.equal(true);
    expect(agrees(answers(285, 15), few)).to.equal(false);
    expect(agrees(answers(98, 2, answers(100, 0)), few)).to.equal(false);
  });

  it('do not agree while any answer says no colour', () => {
    for (const strange of [{ status: 0 }, { status: 503 }, { status: 200, colour: 'red' }])
      expect(agrees([...answers(30, 0), strange], { live: 'blue', percent: 0 })).to.equal(false);
  });

  it('read what each service itself answers, and nothing that writes', () => {
    const of = spec('staging');
    expect(probePaths(of)).to.deep.equal(['/healthz', '/api/health']);
    const [web, api] = of.services;
    expect(probePaths({ ...of, services: [web!, { ...api!, health: '/elsewhere' }] })).to.deep.equal(['/healthz', '/api']);
    expect(probePaths({ ...of, writes: { methods: [], paths: ['/api'] } })).to.deep.equal(['/healthz']);
  }); // prettier-ignore

  it('are told in few words', () => {
    const seen = [...answers(2, 1), { status: 0 }, { status: 502 }, { status: 503, fence: 'up' }];
    expect(summary(seen)).to.equal(
      '2 x blue, 1 x green, 1 x nobody, 1 x 502 without x-greenlight-colour, 1 x the fence (up)',
    );
  });
});
