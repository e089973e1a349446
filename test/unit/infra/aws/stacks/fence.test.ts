import { expect } from 'chai';
import { underChange } from '../../../../../infra/aws/runtime/router/fence-lease.ts';
import { statementsOf } from '../../../../../infra/policies/rule.ts';
import { declare, only, spec, type Declared } from '../../../../lib/declared.ts';

interface Answer {
  statusCode: number;
  headers: Record<string, string>;
}
interface Module {
  fence(options: object): () => Promise<Answer>;
  settingsOf(environment: object): object;
  handler(): Promise<Answer>;
}

// No types: it is what AWS runs, as it stands.
const source: string = '../../../../../infra/aws/stacks/network/fence/index.mjs';

const tag = 'greenlight-hold-until';
const writesTag = 'greenlight-writes';
const variables = {
  LISTENER_ARN: 'listener',
  LEASE_TAG: tag,
  WRITES_TAG: writesTag,
  FENCE_PLACES: '[{"up":1000,"end":2000,"down":40000},{"up":30000,"end":31000,"down":45000}]',
};

describe('fence', () => {
  let declared: Declared[];
  let module: Module;
  before(async () => {
    declared = await declare('staging', { kind: 'foundation', spec: spec('staging') });
    module = (await import(source)) as Module;
  });

  const leaseOf = (Value: string) => [{ Key: tag, Value }];
  /** A fence on a balancer that has these rules, at a clock that the test moves. */
  const fenced = (
    priorities: Record<string, string>,
    lease: string | undefined,
    writes = 'held',
    told: object = variables,
  ) => {
    const calls = { looked: 0, lowered: [] as object[], log: [] as string[], now: 1_000_000 };
    const balancer = {
      rules: () => {
        calls.looked++;
        return Promise.resolve(Object.entries(priorities).map(([RuleArn, Priority]) => ({ RuleArn, Priority })));
      },
      tags: (arns: string[]) =>
        Promise.resolve(
          arns.map(() => ({
            Tags: lease === undefined ? [] : [...leaseOf(lease), { Key: writesTag, Value: writes }],
          })),
        ),
      setPriorities: (rules: object[]) => Promise.resolve(void calls.lowered.push(rules)),
    };
    const handler = module.fence({
      settings: module.settingsOf(told),
      balancer: () => Promise.resolve(balancer),
      now: () => calls.now,
      log: (line: string) => calls.log.push(line),
    });
    return { handler, calls, balancer };
  };
  /** The longest pause between two looks. */
  const pause = 2000;
  const up = { a: '1000', b: '1001', rest: '30000', header: '100', reads: '3000', writes: '35000', last: 'default' };

  it('answers 503 and when to come back, which no cache keeps', async () => {
    const answer = await fenced(up, '2000000').handler();
    expect(answer.statusCode).to.equal(503);
    expect(answer.headers).to.include({ 'retry-after': '1', 'cache-control': 'no-store', 'x-greenlight-fence': 'up' });
  });

  it('answers a held write so that the client comes again at once, also once it has read the rules', async () => {
    const { handler, calls } = fenced(up, '2000000');
    calls.now += pause;
    const { headers } = await handler();
    expect(calls.looked).to.equal(1);
    expect(headers).to.include({ 'retry-after': '1' }).and.to.not.have.property('x-greenlight-writes');
  });

  it('marks a refused write from its first reading on, and no held one after it', async () => {
    const { handler, calls, balancer } = fenced(up, '1010000', 'refused');
    expect((await handler()).headers).to.not.have.property('x-greenlight-writes');
    calls.now += pause;
    const marked = { 'retry-after': '10', 'x-greenlight-writes': 'refused', 'x-greenlight-fence': 'up' };
    expect((await handler()).headers).to.include(marked);
    calls.now += 1;
    expect((await handler()).headers).to.include(marked);
    balancer.tags = (arns) => Promise.resolve(arns.map(() => ({ Tags: leaseOf('1020000') })));
    calls.now = 1_010_000;
    expect((await handler()).headers)
      .to.include({ 'retry-after': '1' })
      .and.to.not.have.property('x-greenlight-writes');
  });

  it('holds on, whatever the time is, while rules are under change', async () => {
    const { handler, calls } = fenced(up, `500000 ${underChange}`);
    calls.now += pause;
    expect((await handler()).headers).to.include({ 'x-greenlight-fence': 'up' });
    expect(calls).to.deep.include({ looked: 1, lowered: [] });
    calls.now += pause;
    await handler();
    expect(calls.looked).to.equal(2);
  });

  it('does not look as it starts, when the release needs the calls, but one to two seconds later', async () => {
    const all = Array.from({ length: 50 }, () => fenced(up, '1500000'));
    const looked = async (ms: number): Promise<number> => {
      for (const { handler, calls } of all) {
        calls.now = 1_000_000 + ms;
        await handler();
        await handler();
      }
      return all.reduce((sum, { calls }) => sum + calls.looked, 0);
    };
    expect(await looked(0)).to.equal(0);
    expect(await looked(999)).to.equal(0);
    expect(await looked(1500)).to.be.within(1, 49);
    expect(await looked(pause)).to.equal(50);
  });

  it('does not look again before the lease that it saw ends', async () => {
    const { handler, calls } = fenced(up, '1500000');
    for (calls.now += pause; calls.now < 1_500_000; calls.now += 1000) await handler();
    expect(calls).to.deep.include({ looked: 1, lowered: [] });
    calls.now = 1_500_000;
    expect((await handler()).headers['x-greenlight-fence']).to.equal('lowered');
  });

  it('holds on where the lease that it saw was made longer, until that one ends', async () => {
    const { handler, calls, balancer } = fenced(up, '1010000');
    calls.now += pause;
    await handler();
    balancer.tags = (arns) => Promise.resolve(arns.map(() => ({ Tags: leaseOf('1020000') })));
    for (calls.now = 1_010_000; calls.now < 1_020_000; calls.now += 1000)
      expect((await handler()).headers['x-greenlight-fence']).to.equal('up');
    expect(calls).to.deep.include({ looked: 2, lowered: [] });
    expect((await handler()).headers['x-greenlight-fence']).to.equal('lowered');
  });

  it('lowers itself when the lease is over, though it never saw it: this write is refused once more', async () => {
    const { handler, calls } = fenced(up, '1000500');
    await handler();
    calls.now += pause;
    const answer = await handler();
    expect(answer).to.deep.include({ statusCode: 503 });
    expect(answer.headers['x-greenlight-fence']).to.equal('lowered');
    expect(calls.lowered).to.deep.equal([
      [
        { RuleArn: 'a', Priority: 40_000 },
        { RuleArn: 'b', Priority: 40_001 },
        { RuleArn: 'rest', Priority: 45_000 },
      ],
    ]);
  });

  it('goes on holding where no rule says until when', async () => {
    for (const lease of [undefined, '', 'soon']) {
      const { handler, calls } = fenced(up, lease);
      calls.now += pause;
      expect((await handler()).headers['x-greenlight-fence']).to.equal('up');
      expect(calls).to.deep.include({ looked: 1, lowered: [] });
    }
  });

  it('goes on holding where it cannot look, and waits before it looks again', async () => {
    const { handler, calls, balancer } = fenced(up, '1');
    const { rules } = balancer;
    balancer.rules = () => rules().then(() => Promise.reject(new Error('throttled')));
    calls.now += pause;
    for (let i = 0; i < 5; i++) expect((await handler()).headers['x-greenlight-fence']).to.equal('up');
    expect(calls.looked).to.equal(1);
    expect(calls.log.join()).to.contain('throttled');
    balancer.rules = rules;
    calls.now += pause;
    expect((await handler()).headers['x-greenlight-fence']).to.equal('lowered');
  });

  it('lowers what is up, where somebody has lowered the rest', async () => {
    for (const [place, Priority] of [
      ['1001', 40_001],
      ['30000', 45_000],
    ] as const) {
      const { handler, calls } = fenced({ other: '40000', left: place }, '1');
      calls.now += pause;
      expect((await handler()).headers['x-greenlight-fence']).to.equal('lowered');
      expect(calls.lowered).to.deep.equal([[{ RuleArn: 'left', Priority }]]);
    }
  });

  it('does not take a hold for one that is off, where it was not told the places of the rules', async () => {
    const { handler, calls } = fenced(up, '1', 'held', { ...variables, FENCE_PLACES: undefined });
    calls.now += pause;
    expect((await handler()).headers['x-greenlight-fence']).to.equal('up');
    expect(calls.log.join()).to.contain('FENCE_PLACES is not set');
  });

  it('moves nothing where it is down already', async () => {
    const { handler, calls } = fenced({ a: '40000', rest: '45000', writes: '35000' }, '1');
    calls.now += pause;
    expect((await handler()).headers['x-greenlight-fence']).to.equal('lowered');
    expect(calls.lowered).to.deep.equal([]);
  });

  it('knows the numbers of the routing plan', () => {
    const { variables: given } = only(declared, 'lambda/function:Function')['environment'] as { variables: object };
    expect(given).to.deep.equal({
      ...variables,
      LISTENER_ARN: 'arn:aws:lb/listener:eu-central-1:123456789012:staging-https',
    });
  });

  it('may read rules, and move those of its listener that are its own by name', () => {
    const statements = statementsOf(only(declared, 'iam/rolePolicy:RolePolicy', 'staging-fence')['policy']);
    expect(statements.flatMap(({ Action }) => Action)).to.have.members([
      'logs:CreateLogStream',
      'logs:PutLogEvents',
      'elasticloadbalancing:DescribeRules',
      'elasticloadbalancing:DescribeTags',
      'elasticloadbalancing:SetRulePriorities',
    ]);
    const moves = statements.find(({ Action }) => Action.includes('elasticloadbalancing:SetRulePriorities'));
    expect(moves?.Resource).to.not.include('*');
    expect(moves?.Condition).to.deep.equal({ StringLike: { 'aws:ResourceTag/Name': 'fence-*' } });
  });

  it('may be called by the load balancer, for this target alone', () => {
    const permission = only(declared, 'lambda/permission:Permission');
    expect(permission).to.include({ principal: 'elasticloadbalancing.amazonaws.com', action: 'lambda:InvokeFunction' });
    expect(permission['sourceArn']).to.contain('staging-fence');
    expect(only(declared, 'lb/targetGroup:TargetGroup')['targetType']).to.equal('lambda');
    expect(only(declared, 'lambda/function:Function')['handler']).to.equal('index.handler');
  });
});
