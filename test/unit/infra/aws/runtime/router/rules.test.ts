import type { Rule } from '@aws-sdk/client-elastic-load-balancing-v2';
import { expect } from 'chai';
import {
  movedInFence,
  placeInFence,
  trafficRules,
  type PlannedRule,
} from '../../../../../../infra/aws/lib/routing-plan.ts';
import {
  actionFor,
  disagreeing,
  hasAction,
  liveColours,
  matchRules,
  splitOf,
  targetsOf,
  type GroupOwner,
} from '../../../../../../infra/aws/runtime/router/rules.ts';
import type { Colour, EnvironmentSpec, Split } from '../../../../../../infra/model.ts';
import { spec } from '../../../../../lib/declared.ts';

const of = spec('staging');
const arnOf = ({ colour, service }: GroupOwner) => `${colour}-${service}`;
const ownerOf = (arn: string): GroupOwner | undefined => {
  const [colour, service = ''] = arn.split('-');
  return colour === 'blue' || colour === 'green' ? { colour, service } : undefined;
};

/** As AWS tells rules: both forms of a path, one of a header. */
const told = (plan: PlannedRule): Rule => ({
  RuleArn: `arn-${plan.name}`,
  Priority: String(plan.priority),
  Conditions: plan.conditions.map((condition) => {
    const Values = condition.values as string[];
    if (condition.kind === 'path') return { Field: 'path-pattern', Values, PathPatternConfig: { Values } };
    if (condition.kind === 'method') return { Field: 'http-request-method', HttpRequestMethodConfig: { Values } };
    return { Field: 'http-header', HttpHeaderConfig: { HttpHeaderName: condition.name, Values } };
  }),
  Actions: [plan.to.kind === 'colours' ? forward(plan.to.service, plan.to.weights) : { Type: 'fixed-response' }],
});
const forward = (service: string, weights: Partial<Record<Colour, number>>) => ({
  Type: 'forward' as const,
  ForwardConfig: {
    TargetGroups: Object.entries(weights).map(([colour, Weight]) => ({
      TargetGroupArn: `${colour}-${service}`,
      Weight,
    })),
  },
});

const rules = (split: Split, from: EnvironmentSpec = of) => trafficRules(from, split).map(told);
const raised = (all: Rule[]) =>
  all.map((rule) =>
    placeInFence(Number(rule.Priority)) === 'down'
      ? { ...rule, Priority: String(movedInFence(Number(rule.Priority), 'up')) }
      : rule,
  );
const read = (of_: Rule[], from = of) => splitOf(matchRules(from, of_), ownerOf);

describe('rules of the load balancer, read back', () => {
  it('say the split that they were made of', () => {
    for (const split of [
      { live: 'blue', percent: 0 },
      { live: 'blue', percent: 37 },
      { live: 'green', percent: 100 },
    ] as const)
      expect(read(rules(split).toReversed())).to.deep.equal(split);
  });

  it('say none where there are none of traffic', () => {
    expect(read([])).to.equal(undefined);
    expect(read([{ RuleArn: 'x', Priority: 'default', IsDefault: true, Actions: [] }])).to.equal(undefined);
  });

  it('are matched by order where a write path has the conditions of a read', () => {
    const both = { ...of, writes: { reads: ['GET', 'HEAD'], paths: ['/api'] } };
    const resting = rules({ live: 'blue', percent: 20 }, both);
    for (const all of [resting, raised(resting)]) {
      const { missing, routed, fence } = matchRules(both, all);
      expect(missing).to.deep.equal([]);
      for (const { name, rule } of routed) expect(rule.RuleArn).to.equal(`arn-${name}`);
      expect(fence.map(({ RuleArn }) => RuleArn)).to.deep.equal(['arn-fence-0', 'arn-fence-1', 'arn-fence-rest']);
      expect(read(all, both)).to.deep.equal({ live: 'blue', percent: 20 });
    }
  });

  it('know the fence, up and at rest, and what is missing', () => {
    const all = rules({ live: 'blue', percent: 0 });
    expect(matchRules(of, all)).to.deep.include({ missing: [], up: [] });
    const up = raised(all);
    expect(matchRules(of, up).up.map(({ RuleArn }) => RuleArn)).to.deep.equal(['arn-fence-0', 'arn-fence-rest']);
    expect(read(up)).to.deep.equal({ live: 'blue', percent: 0 });
    const without = all.filter(({ RuleArn }) => RuleArn !== 'arn-reads-web/');
    expect(matchRules(of, without).missing).to.deep.equal(['reads-web/']);
  });

  it('half changed: the first rule to the live colour decides, and the largest share', () => {
    const changed = new Set(['arn-upgrades-api/api']);
    const green = rules({ live: 'green', percent: 0 });
    const half = rules({ live: 'blue', percent: 0 }).map((rule, i) =>
      changed.has(rule.RuleArn ?? '') ? (green[i] as Rule) : rule,
    );
    expect(read(half)).to.deep.equal({ live: 'green', percent: 100 });
    const matched = matchRules(of, half);
    expect(liveColours(matched, ownerOf)).to.have.members(['blue', 'green']);
    const split = { live: 'green', percent: 100 } as const;
    expect(disagreeing(matched, split, ownerOf))
      .to.include('upgrades-web/')
      .and.not.to.include('upgrades-api/api');
    const whole = matchRules(of, rules({ live: 'blue', percent: 37 }));
    expect(liveColours(whole, ownerOf)).to.deep.equal(['blue']);
    expect(disagreeing(whole, { live: 'blue', percent: 37 }, ownerOf)).to.deep.equal([]);
  });

  it('are refused where they send to what is no colour, or writes to both', () => {
    const all = rules({ live: 'blue', percent: 0 });
    const change = (name: string, action: Rule['Actions']) =>
      all.map((rule) => (rule.RuleArn === name ? { ...rule, Actions: action } : rule));
    const strange = [{ Type: 'forward' as const, TargetGroupArn: 'other' }];
    expect(() => read(change('arn-reads-web/', strange))).to.throw("no colour's");
    expect(() => read(change('arn-upgrades-api/api', [forward('api', { blue: 1, green: 1 })]))).to.throw(
      'blue and green',
    );
    expect(() => read(change('arn-upgrades-api/api', [{ Type: 'fixed-response' }]))).to.throw('no colour');
  });

  it('take a weight of 0 for no share', () => {
    const all = rules({ live: 'blue', percent: 50 }).map((rule) =>
      targetsOf(rule).length < 2
        ? rule
        : { ...rule, Actions: [forward(targetsOf(rule)[0]!.arn.slice(5), { blue: 100, green: 0 })] },
    );
    expect(read(all)).to.deep.equal({ live: 'blue', percent: 0 });
  });
});

describe('actions of the load balancer', () => {
  const reads = { name: 'reads-api/api', service: 'api', weighted: true, rule: {} };
  const groups = (split: Split) => actionFor(reads, split, arnOf).ForwardConfig;

  it('leave out who has no share, and always say whether clients stick', () => {
    expect(groups({ live: 'blue', percent: 0 })).to.deep.equal({
      TargetGroups: [{ TargetGroupArn: 'blue-api', Weight: 100 }],
      TargetGroupStickinessConfig: { Enabled: false, DurationSeconds: 60 },
    });
    expect(groups({ live: 'blue', percent: 10 })).to.deep.equal({
      TargetGroups: [
        { TargetGroupArn: 'blue-api', Weight: 90 },
        { TargetGroupArn: 'green-api', Weight: 10 },
      ],
      TargetGroupStickinessConfig: { Enabled: true, DurationSeconds: 60 },
    });
    expect(groups({ live: 'blue', percent: 100 })?.TargetGroups).to.deep.equal([
      { TargetGroupArn: 'green-api', Weight: 100 },
    ]);
  });

  it('are the same in the short form of AWS, and different in any weight', () => {
    const action = actionFor({ ...reads, weighted: false }, { live: 'blue', percent: 5 }, arnOf);
    expect(hasAction({ Actions: [{ Type: 'forward', TargetGroupArn: 'blue-api' }] }, action)).to.equal(true);
    expect(hasAction({ Actions: [{ Type: 'forward', TargetGroupArn: 'green-api' }] }, action)).to.equal(false);
    const shared = actionFor(reads, { live: 'blue', percent: 5 }, arnOf);
    expect(hasAction({ Actions: [shared] }, shared)).to.equal(true);
    expect(hasAction({ Actions: [actionFor(reads, { live: 'blue', percent: 6 }, arnOf)] }, shared)).to.equal(false);
  });
});
