import { expect } from 'chai';
import { all, declare, declareEnvironment, only, type Environment, type Outputs } from '../../../../lib/declared.ts';

interface Action {
  type: string;
  forward: { targetGroups: { arn: string; weight: number }[]; stickiness: { enabled: boolean; duration: number } };
}

describe('traffic on AWS', () => {
  let production: Environment;
  before(async () => {
    production = await declareEnvironment('production', { live: 'blue', percent: 10 });
  });

  const action = (name: string): Action => {
    const [first] = only(production.traffic, 'lb/listenerRule:ListenerRule', name)['actions'] as [Action];
    return first;
  };

  it('forwards reads to the target groups of both colours, by weight', () => {
    const { targetGroups } = action('reads-api/api').forward;
    expect(targetGroups.map(({ weight }) => weight)).to.deep.equal([90, 10]);
    expect(targetGroups[0]?.arn).to.contain('production-blue-api');
    expect(targetGroups[1]?.arn).to.contain('production-green-api');
  });

  it('keeps a client on the version that its page came from, where there are two', () => {
    expect(action('reads-api/api').forward.stickiness).to.deep.equal({ enabled: true, duration: 60 });
    expect(action('writes-api/api').forward.stickiness.enabled).to.equal(false);
  });

  it('declares no weight of 0, which was set as 1 (pulumi-aws #5772)', async () => {
    for (const percent of [0, 1, 100]) {
      const rules = await declare(
        'production',
        { kind: 'traffic', split: { live: 'blue', percent } },
        production.outputs,
      );
      const weights = all(rules, 'lb/listenerRule:ListenerRule').flatMap(({ inputs }) =>
        (inputs['actions'] as Action[])
          .filter(({ type }) => type === 'forward')
          .flatMap(({ forward }) => forward.targetGroups.map(({ weight }) => weight)),
      );
      expect(Math.min(...weights), `at ${percent}%`).to.be.above(0);
    }
  });

  it('always forwards in one form, with the stickiness said (pulumi-aws #5771)', () => {
    for (const { inputs, name } of all(production.traffic, 'lb/listenerRule:ListenerRule')) {
      if (name.endsWith('-proof')) continue;
      const [only] = inputs['actions'] as [Record<string, unknown>];
      expect(only).to.have.all.keys('type', 'forward');
      expect(only['forward']).to.have.all.keys('targetGroups', 'stickiness');
    }
  });

  it('has the fence wait behind all other rules, to the function that answers 503', () => {
    const rules = all(production.traffic, 'lb/listenerRule:ListenerRule');
    const last = Math.max(
      ...rules.filter(({ name }) => !name.includes('fence')).map(({ inputs }) => Number(inputs['priority'])),
    );
    const fences = rules.filter(({ name }) => name.includes('fence'));
    expect(fences).to.have.lengthOf(2);
    for (const { inputs } of fences) {
      expect(inputs['priority']).to.be.above(last);
      expect(JSON.stringify(inputs['actions'])).to.contain('production-fence');
    }
  });

  it('gives the run time the rules by name', () => {
    const { rules } = production.outputs.get('production-traffic') as { rules: Record<string, string> };
    expect(rules).to.include.keys('fence-0', 'fence-rest', 'reads-api/api', 'writes-api/api');
    expect(rules['fence-0']).to.contain('listenerRule');
  });

  it('needs the live colour only, while nobody goes to the other', async () => {
    const outputs: Outputs = new Map(production.outputs);
    outputs.delete('production-green');
    const rules = await declare('production', { kind: 'traffic', split: { live: 'blue', percent: 0 } }, outputs);
    expect(JSON.stringify(rules)).not.to.contain('production-green');
    const refused = await declare('production', { kind: 'traffic', split: { live: 'blue', percent: 1 } }, outputs).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(String(refused)).to.contain('the stack production-green has no targetGroups: bring it up first');
  });
});
