import { expect } from 'chai';
import { declare, only, spec } from './declared.ts';

interface Answer {
  statusCode: number;
  headers: Record<string, string>;
}

// No types: it is what AWS runs, as it stands.
const fence: string = '../../../infra/aws/fence/index.mjs';

describe('fence', () => {
  it('answers 503 and when to come back, which no cache keeps', async () => {
    const { handler } = (await import(fence)) as { handler: () => Promise<Answer> };
    const answer = await handler();
    expect(answer.statusCode).to.equal(503);
    expect(answer.headers).to.include({ 'retry-after': '1', 'cache-control': 'no-store' });
  }); // prettier-ignore

  it('may be called by the load balancer, for this target alone', async () => {
    const declared = await declare('staging', { kind: 'foundation', spec: spec('staging') });
    const permission = only(declared, 'lambda/permission:Permission');
    expect(permission).to.include({ principal: 'elasticloadbalancing.amazonaws.com', action: 'lambda:InvokeFunction' });
    expect(permission['sourceArn']).to.contain('staging-fence');
    expect(only(declared, 'lb/targetGroup:TargetGroup')['targetType']).to.equal('lambda');
    expect(only(declared, 'lambda/function:Function')['handler']).to.equal('index.handler');
  });
});
