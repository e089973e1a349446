import type { Server } from 'node:http';
import { expect } from 'chai';
import {
  AddTagsCommand,
  DeleteRuleCommand,
  DescribeTargetHealthCommand,
  ModifyListenerCommand,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  SetRulePrioritiesCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { fenceVariables, leaseTag } from '../../../infra/aws/lib/routing-plan.ts';
import { balancerTestbed } from '../../emulated-account/balancer-testbed.ts';

describe("the emulated account's load balancer", function () {
  this.timeout(120_000);
  const {
    raw,
    fixed,
    forward,
    path,
    method,
    header,
    rule,
    modify,
    group,
    serve,
    says,
    stop,
    target,
    register,
    deregister,
    health,
    until,
    settled,
    colour,
    get,
    tally,
    unique,
    here,
  } = balancerTestbed();

  describe('rules', () => {
    it('the first by priority whose conditions all hold, else the default', async () => {
      expect(await get('/')).to.include({ status: 503, body: 'Not live yet.' });
      await rule(30, [path('/api/*')], fixed('200', 'api'));
      const writes = await rule(20, [path('/api/*'), method('POST', 'PUT')], fixed('200', 'writes'));
      await rule(10, [path('/api/a?c'), header('X-Colour', 'gr*n')], fixed('200', 'header'));
      await rule(40, [header('cookie', '*wrote=*')], fixed('200', 'cookie'));
      const body = async (...args: Parameters<typeof get>) => (await get(...args)).body;
      expect(await body('/api/x?y=1')).to.equal('api');
      expect(await body('/API/x')).to.equal('Not live yet.');
      expect(await body('/api/x', { method: 'POST' })).to.equal('writes');
      expect(await body('/api/abc', { headers: { 'x-colour': 'GREEN' } })).to.equal('header');
      expect(await body('/api/abbc', { headers: { 'x-colour': 'green' } })).to.equal('api');
      expect(await body('/x', { headers: { cookie: 'a=b; wrote=1' } })).to.equal('cookie');
      await here().clients.balancer.send(
        new SetRulePrioritiesCommand({ RulePriorities: [{ RuleArn: writes, Priority: 50 }] }),
      );
      expect(await body('/api/x', { method: 'POST' })).to.equal('api');
      await here().clients.balancer.send(new DeleteRuleCommand({ RuleArn: writes }));
      expect(await body('/x', { method: 'POST' })).to.equal('Not live yet.');
      await here().clients.balancer.send(
        new ModifyListenerCommand({ ListenerArn: here().listenerArn, DefaultActions: [fixed('404', 'none')] }),
      );
      expect(await get('/x')).to.include({ status: 404, body: 'none' });
    });

    it('redirects, with what was asked for filled in', async () => {
      const RedirectConfig = {
        Protocol: 'HTTPS',
        Port: '444',
        Host: 'www.#{host}',
        Path: '/new/#{path}',
        StatusCode: 'HTTP_301' as const,
      };
      await rule(10, [path('/old/*')], { Type: 'redirect', RedirectConfig });
      const { status, headers } = await get('/old/a?b=c', { headers: { host: 'example.org:1' } });
      expect(status).to.equal(301);
      expect(headers.location).to.equal('https://www.example.org:444/new/old/a?b=c');
    });

    it('more of them than one page of the API holds', async () => {
      for (let i = 1; i <= 55; i++) await rule(i, [path(`/${i}`)], fixed('200', String(i)));
      expect((await get('/54')).body).to.equal('54');
    });
  });

  describe('forwarding', () => {
    it('splits by weight', async () => {
      const [blue, green] = [await colour('blue'), await colour('green')];
      const arn = await rule(10, [path('/*')], forward({ [blue.arn]: 90, [green.arn]: 10 }));
      await settled(blue.arn, 'healthy');
      await settled(green.arn, 'healthy');
      const { blue: toBlue = 0, green: toGreen = 0, ...others } = await tally(1000);
      expect(others).to.deep.equal({});
      expect(toBlue + toGreen).to.equal(1000);
      // Five standard deviations: chance goes beyond them once in a million times.
      expect(toGreen).to.be.within(100 - 5 * 9.5, 100 + 5 * 9.5);
      await modify(arn, forward({ [blue.arn]: 0, [green.arn]: 100 }));
      expect(await tally(50)).to.deep.equal({ green: 50 });
    });

    it('no request fails while weights change under load', async () => {
      const [blue, green] = [await colour('blue'), await colour('green')];
      const arn = await rule(10, [path('/*')], forward({ [blue.arn]: 1 }));
      await rule(20, [path('/none')], forward({ [green.arn]: 1 }));
      await settled(blue.arn, 'healthy');
      await settled(green.arn, 'healthy');
      const counts = tally(2000);
      for (const share of [10, 50, 90, 100])
        await modify(arn, forward({ [blue.arn]: 100 - share, [green.arn]: share }));
      expect(Object.keys(await counts)).to.have.members(['blue', 'green']);
    });

    it('keeps a client with its group by cookie, as long as it lasts and whatever the weights', async () => {
      const [blue, green] = [await colour('blue'), await colour('green')];
      const arn = await rule(10, [path('/*')], forward({ [blue.arn]: 1, [green.arn]: 0 }, 1));
      await settled(blue.arn, 'healthy');
      await settled(green.arn, 'healthy');
      const [set = ''] = (await get('/')).headers['set-cookie'] ?? [];
      const headers = { cookie: `a=b; ${set.split(';')[0]}` };
      expect(set).to.match(/^AWSALBTG=/);
      await modify(arn, forward({ [blue.arn]: 0, [green.arn]: 1 }, 1));
      expect((await get('/', { headers })).body).to.equal('blue');
      expect((await get('/')).body).to.equal('green');
      await until('the cookie has lost its force', async () => (await get('/', { headers })).body === 'green');
      await modify(arn, forward({ [green.arn]: 1 }));
      expect((await get('/')).headers['set-cookie']).to.equal(undefined);
    });

    it('passes requests on as they came, and says where from', async () => {
      const arn = await group();
      const { port: of } = await serve((incoming, response) => {
        let body = '';
        incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
        incoming.on('end', () => {
          response.setHeader('set-cookie', ['a=1', 'b=2']);
          response.end(JSON.stringify({ ...incoming.headers, method: incoming.method, url: incoming.url, body }));
        });
      });
      await register(arn, of);
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy');
      const headers = { host: 'shop.example.org', 'x-forwarded-for': '10.1.1.1', 'x-own': 'é'.normalize('NFC') };
      const got = await get('/a%2Fb?c=d', { method: 'PUT', headers: { ...headers, 'x-own': '1' }, body: 'hello' });
      expect(got.headers['set-cookie']).to.deep.equal(['a=1', 'b=2']);
      expect(JSON.parse(got.body)).to.include({
        method: 'PUT',
        url: '/a%2Fb?c=d',
        body: 'hello',
        host: 'shop.example.org',
        'x-own': '1',
        'x-forwarded-for': '10.1.1.1, 127.0.0.1',
        'x-forwarded-proto': 'https',
        'x-forwarded-port': String(here().port),
      });
    });

    /** The fence's function, made as the foundation makes it. */
    async function fenceFunction(): Promise<string> {
      const RoleName = `fence-${unique()}`;
      const fields = {
        Action: 'CreateRole',
        Version: '2010-05-08',
        RoleName,
        AssumeRolePolicyDocument: '{"Statement":[]}',
      };
      const { text } = await raw('iam', {}, new URLSearchParams(fields));
      const Variables = fenceVariables(here().listenerArn);
      const made = await raw(
        'lambda',
        { 'content-type': 'application/json' },
        {
          FunctionName: RoleName,
          Runtime: 'nodejs22.x',
          Role: /<Arn>(.*)<\/Arn>/.exec(text as string)?.[1],
          Handler: 'index.handler',
          Code: { ZipFile: Buffer.from('none').toString('base64') },
          Environment: { Variables },
        },
        '/2015-03-31/functions',
      );
      return made['FunctionArn'] as string;
    }

    it('holds writes by the fence of the product, which lowers itself when its lease is over', async () => {
      const [blue, held] = [await colour('blue'), await group('lambda')];
      const Targets = [{ Id: await fenceFunction() }];
      await here().clients.balancer.send(new RegisterTargetsCommand({ TargetGroupArn: held, Targets }));
      await rule(3000, [method('GET')], forward({ [blue.arn]: 1 }));
      await rule(35_000, [path('/*')], forward({ [blue.arn]: 1 }));
      const fence = [
        await rule(40_000, [path('/go*')], forward({ [held]: 1 })),
        await rule(45_000, [path('/*')], forward({ [held]: 1 })),
      ];
      const write = async (at = '/', sent: Parameters<typeof get>[1] = { method: 'POST', body: 'x' }) => {
        const { status, headers, body } = await get(at, sent);
        return status === 200 ? body : [status, headers['retry-after'], headers['x-greenlight-fence']].join(' ');
      };
      const lease = (until: number) =>
        here().clients.balancer.send(
          new AddTagsCommand({ ResourceArns: fence, Tags: [{ Key: leaseTag, Value: String(until) }] }),
        );
      await settled(blue.arn, 'healthy');
      expect(await write()).to.equal('blue');
      await lease(Date.now() + 3_600_000);
      await here().clients.balancer.send(
        new SetRulePrioritiesCommand({
          RulePriorities: [
            { RuleArn: fence[0], Priority: 1000 },
            { RuleArn: fence[1], Priority: 30_000 },
          ],
        }),
      );
      expect(await write()).to.equal('503 1 up');
      expect(await write('/go', { method: 'GET' })).to.equal('503 1 up');
      expect((await get('/')).body).to.equal('blue');
      await lease(Date.now() - 1);
      await until('the fence lowers itself', async () => (await write()) === '503 1 lowered');
      expect(await write()).to.equal('blue');
      expect(await write('/go', { method: 'GET' })).to.equal('blue');
    });
  });

  describe('targets', () => {
    it('are checked once their group is in use, take turns, and are left out when they fail', async () => {
      const arn = await group();
      let broken = false;
      const one = await serve((incoming, response) => {
        if (broken && incoming.url === '/health') response.writeHead(500).end();
        else response.end('one');
      });
      const two = await says('two');
      await register(arn, one.port);
      await register(arn, two.port);
      await settled(arn, 'unused', 'unused');
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy', 'healthy');
      expect(await tally(100)).to.deep.equal({ one: 50, two: 50 });
      broken = true;
      await settled(arn, 'unhealthy', 'healthy');
      expect((await health(arn))[0]?.TargetHealth).to.deep.equal({
        State: 'unhealthy',
        Reason: 'Target.ResponseCodeMismatch',
        Description: 'Health checks failed with these codes: [500]',
      });
      expect(await tally(50)).to.deep.equal({ two: 50 });
      broken = false;
      await settled(arn, 'healthy', 'healthy');
    });

    it('none: 503; one that breaks the connection: 502', async () => {
      const arn = await group();
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      expect((await get('/')).status).to.equal(503);
      const { port: of } = await serve((incoming, response) => {
        if (incoming.url === '/health') response.end();
        else incoming.socket.destroy();
      });
      await register(arn, of);
      await settled(arn, 'healthy');
      expect((await get('/')).status).to.equal(502);
      // All of them unhealthy: it still tries.
      await stop(here().open.pop() as Server);
      await settled(arn, 'unhealthy');
      expect((await get('/')).status).to.equal(502);
    });

    it('that are taken out end what they have begun, get nothing new, and are gone after the delay', async () => {
      const arn = await group();
      let finish: (() => void) | undefined;
      const slow = await serve((incoming, response) => {
        if (incoming.url === '/slow') finish = () => response.end('slow');
        else response.end('one');
      });
      const other = await says('other');
      await register(arn, slow.port);
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy');
      await register(arn, other.port);
      await settled(arn, 'healthy', 'healthy');
      const answers = [get('/slow'), get('/slow')].map((answer) => answer.then(({ body }) => body));
      await until('the slow request is there', () => Promise.resolve(finish !== undefined));
      await deregister(arn, slow.port);
      await settled(arn, 'draining', 'healthy');
      expect(await tally(20)).to.deep.equal({ other: 20 });
      finish?.();
      expect(await Promise.all(answers)).to.have.members(['slow', 'other']);
      await settled(arn, 'healthy');
      const TargetGroupArn = arn;
      const gone = await here().clients.balancer.send(
        new DescribeTargetHealthCommand({ TargetGroupArn, Targets: target(slow.port) }),
      );
      expect(gone.TargetHealthDescriptions?.[0]?.TargetHealth?.Reason).to.equal('Target.NotRegistered');
    });

    it('are not cut off from what they have begun by a rule that leads elsewhere', async () => {
      const arn = await group();
      let finish: (() => void) | undefined;
      const { port: of } = await serve((incoming, response) => {
        if (incoming.url === '/slow') finish = () => response.end('slow');
        else response.end('one');
      });
      const green = await colour('green');
      await register(arn, of);
      const only = await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy');
      const slow = get('/slow');
      await until('the slow request is there', () => Promise.resolve(finish !== undefined));
      await modify(only, forward({ [green.arn]: 1 }));
      await settled(arn, 'unused');
      await settled(green.arn, 'healthy');
      expect((await get('/')).body).to.equal('green');
      finish?.();
      expect((await slow).body).to.equal('slow');
    });

    it('have the delay of their group', async () => {
      const { arn, port: of } = await colour('blue');
      const Attributes = [{ Key: 'deregistration_delay.timeout_seconds', Value: '0' }];
      await here().clients.balancer.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes }));
      await rule(10, [path('/*')], forward({ [arn]: 1 }));
      await settled(arn, 'healthy');
      await deregister(arn, of);
      await settled(arn);
    });
  });
});

describe("the emulated account's load balancer that takes its time", function () {
  this.timeout(120_000);
  const { colour, forward, get, modify, path, rule, settled, until } = balancerTestbed({ propagationMs: 1000 });

  it('goes on as before for a while after a change', async () => {
    const [blue, green] = [await colour('blue'), await colour('green')];
    const arn = await rule(10, [path('/*')], forward({ [blue.arn]: 1 }));
    await rule(20, [path('/none')], forward({ [green.arn]: 1 }));
    await settled(blue.arn, 'healthy');
    await settled(green.arn, 'healthy');
    await modify(arn, forward({ [green.arn]: 1 }));
    expect((await get('/')).body).to.equal('blue');
    await until('it has noticed', async () => (await get('/')).body === 'green');
  });
});
