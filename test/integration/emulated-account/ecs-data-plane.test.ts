import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CreateLogGroupCommand, GetLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs';
import { DescribeSubnetsCommand } from '@aws-sdk/client-ec2';
import { CreateRepositoryCommand, DescribeImagesCommand } from '@aws-sdk/client-ecr';
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ListTasksCommand,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
  StopTaskCommand,
  UpdateServiceCommand,
  type ContainerDefinition,
  type RunTaskCommandInput,
  type Service,
  type Task,
} from '@aws-sdk/client-ecs';
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DescribeTargetHealthCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { expect } from 'chai';
import { execa } from 'execa';
import { createClients, type Clients } from '../../../infra/aws/runtime/client/clients.ts';
import { codeOf } from '../../../infra/aws/runtime/client/errors.ts';
import { createCertificates } from '../../../infra/local/lib/certificates.ts';
import { isAlive } from '../../../infra/lib/lifetimes.ts';
import { startAccount, type Account } from '../../emulated-account/account.ts';
import { accountId, freePort } from '../../emulated-account/moto.ts';
import { tasksPart, type TasksPart } from '../../emulated-account/tasks.ts';

const region = 'eu-central-1';
const credentials = { accessKeyId: 'AKIAEMULATED', secretAccessKey: 'emulated' };
const registry = `${accountId}.dkr.ecr.${region}.amazonaws.com`;
const docker = join(import.meta.dirname, '../../emulated-account/programs/docker');

/** Answers with what it was given; `/health` is good unless it was told otherwise. */
const web = `
import { createServer } from 'node:http';
import { writeFileSync } from 'node:fs';
if (process.env.BREAK) { console.error('it broke'); process.exit(3); }
writeFileSync(process.env.TMPDIR + '/mine', '');
createServer((request, response) => {
  response.statusCode = request.url === '/health' && process.env.SICK ? 500 : 200;
  response.end(JSON.stringify(process.env));
}).listen(process.env.PORT, process.env.HOST);
process.on('SIGTERM', () => { console.log('goodbye'); process.exit(0); });
console.log('listening');
`;

describe('ECS and ECR of the emulated account', function () {
  this.timeout(120_000);
  let home: string;
  let account: Account;
  let entry: string;
  let part: TasksPart;
  let clients: Clients;
  let network: RunTaskCommandInput['networkConfiguration'];
  let targetGroupArn: string;
  let secretArn: string;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'greenlight-ecs-'));
    await createCertificates(join(home, 'certificates'));
    await mkdir(join(home, 'context'));
    await writeFile(join(home, 'context', 'web.mjs'), web);
    await writeFile(
      join(home, 'Dockerfile'),
      'FROM node:24-slim\nENV NODE_ENV=production HOST=0.0.0.0\nCMD ["node", "web.mjs"]\n',
    );
    const read = (name: string) => readFile(join(home, 'certificates', name), 'utf8');
    account = await startAccount({
      certificate: { cert: await read('server.crt'), key: await read('server.key') },
      balancer: { healthIntervalMs: 50, portOf: ({ port }) => port },
      parts: [
        ({ endpoint }) =>
          (part = tasksPart({
            directory: join(home, 'tasks'),
            images: join(home, 'images'),
            authority: '/here/ca.pem',
            entryAuthority: join(home, 'certificates', 'ca.pem'),
            endpoint,
            mostStopMs: 2000,
            mostHealthMs: 1500,
          })),
      ],
    });
    clients = createClients({ region, endpoint: account.endpoint, credentials });
    await clients.images.send(
      new CreateRepositoryCommand({ repositoryName: 'shop/staging', imageTagMutability: 'IMMUTABLE' }),
    );
    await clients.containers.send(new CreateClusterCommand({ clusterName: 'staging' }));
    await clients.logs.send(new CreateLogGroupCommand({ logGroupName: '/greenlight/web' }));
    const { Subnets = [] } = await clients.network.send(new DescribeSubnetsCommand({}));
    const balancer = { Name: 'entry', Subnets: Subnets.slice(0, 2).map(({ SubnetId = '' }) => SubnetId) };
    const { LoadBalancers } = await clients.balancer.send(new CreateLoadBalancerCommand(balancer));
    network = { awsvpcConfiguration: { subnets: [Subnets[0]?.SubnetId ?? ''], securityGroups: [] } };
    const group = {
      Name: 'web',
      Protocol: 'HTTP' as const,
      Port: 3000,
      TargetType: 'ip' as const,
      VpcId: Subnets[0]?.VpcId,
      HealthCheckPath: '/health',
    };
    targetGroupArn =
      (await clients.balancer.send(new CreateTargetGroupCommand(group))).TargetGroups?.[0]?.TargetGroupArn ?? '';
    const port = await freePort();
    entry = `http://127.0.0.1:${port}/`;
    await clients.balancer.send(
      new CreateListenerCommand({
        LoadBalancerArn: LoadBalancers?.[0]?.LoadBalancerArn,
        Port: port,
        Protocol: 'HTTP',
        DefaultActions: [{ Type: 'forward', TargetGroupArn: targetGroupArn }],
      }),
    );
    const secret = {
      Name: 'login',
      SecretString: JSON.stringify({ url: 'postgresql://x?sslrootcert=%2Fetc%2Fssl%2Frds%2Fglobal-bundle.pem' }),
    };
    secretArn = (await clients.secrets.send(new CreateSecretCommand(secret))).ARN ?? '';
  });
  after(async () => {
    const pids = part.tasks().map(({ pid }) => pid);
    const errors = account.errors();
    for (const client of Object.values(clients) as { destroy(): void }[]) client.destroy();
    await account.close();
    expect(pids.filter((pid) => pid !== undefined && isAlive(pid))).to.deep.equal([]);
    expect(existsSync(join(home, 'tasks'))).to.equal(false);
    await rm(home, { recursive: true });
    expect(errors).to.deep.equal([]);
    expect(part.errors).to.deep.equal([]);
  });

  const runDocker = (args: string[], env: Record<string, string> = {}, input = '') =>
    execa(docker, args, {
      input,
      reject: false,
      all: true,
      env: { GREENLIGHT_TEST_IMAGES: join(home, 'images'), AWS_ENDPOINT_URL: account.endpoint, ...env },
    });
  const build = (tag: string, env: Record<string, string> = {}) =>
    runDocker(
      [
        'buildx',
        'build',
        '--platform',
        'linux/amd64',
        '--file',
        join(home, 'Dockerfile'),
        '--tag',
        `${registry}/shop/staging:${tag}`,
        '--push',
        join(home, 'context'),
      ],
      env,
    );

  const define = async (family: string, container: Partial<ContainerDefinition> = {}): Promise<string> => {
    const options = { 'awslogs-group': '/greenlight/web', 'awslogs-region': region, 'awslogs-stream-prefix': family };
    const { taskDefinition } = await clients.containers.send(
      new RegisterTaskDefinitionCommand({
        family,
        networkMode: 'awsvpc',
        requiresCompatibilities: ['FARGATE'],
        cpu: '256',
        memory: '512',
        containerDefinitions: [
          {
            name: 'web',
            image: `${registry}/shop/staging:one`,
            stopTimeout: 15,
            portMappings: [{ containerPort: 3000 }],
            logConfiguration: { logDriver: 'awslogs', options },
            ...container,
          },
        ],
      }),
    );
    return taskDefinition?.taskDefinitionArn ?? '';
  };

  const run = async (taskDefinition: string, more: Partial<RunTaskCommandInput> = {}): Promise<string> => {
    const { tasks = [] } = await clients.containers.send(
      new RunTaskCommand({
        cluster: 'staging',
        taskDefinition,
        launchType: 'FARGATE',
        networkConfiguration: network,
        ...more,
      }),
    );
    expect(tasks).to.have.length(1);
    return tasks[0]?.taskArn ?? '';
  };
  const task = async (arn: string): Promise<Task> =>
    (await clients.containers.send(new DescribeTasksCommand({ cluster: 'staging', tasks: [arn] }))).tasks?.[0] ?? {};
  const until = async <T>(ask: () => Promise<T>, good: (found: T) => boolean): Promise<T> => {
    for (let found = await ask(); ; found = await ask()) {
      if (good(found)) return found;
      await sleep(50);
    }
  };
  const stopped = (arn: string) =>
    until(
      () => task(arn),
      ({ lastStatus }) => lastStatus === 'STOPPED',
    );
  const log = async (family: string, arn: string): Promise<string[]> => {
    const logStreamName = `${family}/web/${arn.split('/').at(-1)}`;
    const { events = [] } = await clients.logs.send(
      new GetLogEventsCommand({ logGroupName: '/greenlight/web', logStreamName, startFromHead: true }),
    );
    return events.map(({ message = '' }) => message);
  };

  it('pushes images as Docker does', async () => {
    expect((await runDocker(['version'])).exitCode).to.equal(0);
    expect((await build('one')).all).to.contain('no basic auth credentials');
    const login = ['login', '--username', 'AWS', '--password-stdin', registry];
    expect((await runDocker(login, {}, 'token')).all).to.contain('Login Succeeded');
    expect((await build('one')).all).to.contain('done');
    expect((await build('one')).exitCode).to.equal(0);
    const { imageDetails } = await clients.images.send(new DescribeImagesCommand({ repositoryName: 'shop/staging' }));
    expect(imageDetails?.map(({ imageTags }) => imageTags)).to.deep.equal([['one']]);

    await writeFile(join(home, 'context', 'more'), '');
    expect((await build('one')).all).to.contain('because the tag is immutable');
    await rm(join(home, 'context', 'more'));
    expect((await build('other', { GREENLIGHT_TEST_DOCKER_BUILD_ERROR: 'no space left' })).all).to.contain(
      'no space left',
    );
    expect((await build('other', { GREENLIGHT_TEST_DOCKER_PUSH_ERROR: 'denied' })).all).to.contain('denied');
    expect((await build('arm', { GREENLIGHT_TEST_DOCKER_PLATFORM: 'linux/arm64' })).exitCode).to.equal(0);
  });

  it('runs a task with its environment, its secrets and its log', async () => {
    const definition = await define('job', {
      secrets: [{ name: 'DATABASE_URL', valueFrom: `${secretArn}:url::` }],
      environment: [{ name: 'A', value: '1' }],
    });
    const script = `console.log(process.env.A, process.env.B, process.env.NODE_ENV); console.error(process.env.DATABASE_URL, process.cwd()); process.exit(7)`;
    const overrides = {
      containerOverrides: [{ name: 'web', command: ['node', '-e', script], environment: [{ name: 'B', value: '2' }] }],
    };
    const arn = await run(definition, { overrides, startedBy: 'greenlight', tags: [{ key: 'k', value: 'v' }] });
    const found = await stopped(arn);
    expect(found.containers?.[0]?.exitCode).to.equal(7);
    expect(found.stopCode).to.equal('EssentialContainerExited');
    expect(found.stoppedAt?.getTime()).to.be.at.least(found.startedAt?.getTime() ?? Infinity);
    const url = 'postgresql://x?sslrootcert=%2Fhere%2Fca.pem';
    expect((await log('job', arn)).sort()).to.deep.equal([
      '1 2 production',
      `${url} ${join(home, 'images/shop/staging/one')}`,
    ]);

    const sleeper = await run(definition, {
      overrides: {
        containerOverrides: [{ name: 'web', command: ['sh', '-c', 'trap "" TERM; sleep 300 & wait; sleep 300'] }],
      },
    });
    await until(
      () => task(sleeper),
      ({ lastStatus }) => lastStatus === 'RUNNING',
    );
    const { taskArns } = await clients.containers.send(new ListTasksCommand({ cluster: 'staging', family: 'job' }));
    expect(taskArns).to.deep.equal([sleeper]);
    await sleep(200);
    await clients.containers.send(new StopTaskCommand({ cluster: 'staging', task: sleeper, reason: 'enough' }));
    const end = await stopped(sleeper);
    expect([end.stopCode, end.stoppedReason, end.containers?.[0]?.exitCode]).to.deep.equal([
      'UserInitiated',
      'enough',
      137,
    ]);
  });

  it('says why a task did not start', async () => {
    const reason = async (container: Partial<ContainerDefinition>) => {
      const end = await stopped(await run(await define('unable', container)));
      expect([end.stopCode, end.containers?.[0]?.exitCode]).to.deep.equal(['TaskFailedToStart', undefined]);
      return end.stoppedReason;
    };
    expect(await reason({ image: `${registry}/shop/staging:none` })).to.match(/^CannotPullContainerError: .*not found/);
    expect(await reason({ image: `${registry}/shop/staging:arm` })).to.match(
      /^CannotStartContainerError: .*exec format error/,
    );
    expect(await reason({ command: ['nothing'] })).to.match(
      /^CannotStartContainerError: .*"nothing": executable file not found/,
    );
    expect(await reason({ secrets: [{ name: 'X', valueFrom: `${secretArn}:none::` }] })).to.match(
      /did not contain json key none/,
    );
    expect(await reason({ secrets: [{ name: 'X', valueFrom: secretArn.replace('login', 'other') }] })).to.match(
      /ResourceNotFoundException/,
    );
    const options = { 'awslogs-group': '/none', 'awslogs-stream-prefix': 'x' };
    expect(await reason({ logConfiguration: { logDriver: 'awslogs', options } })).to.match(
      /failed to create Cloudwatch log stream/,
    );
  });

  describe('a service', () => {
    const service = async (): Promise<Service> =>
      (await clients.containers.send(new DescribeServicesCommand({ cluster: 'staging', services: ['web'] })))
        .services?.[0] ?? {};
    const update = (more: object) =>
      clients.containers.send(new UpdateServiceCommand({ cluster: 'staging', service: 'web', ...more }));
    const steady = () =>
      until(
        service,
        ({ deployments = [] }) => deployments.length === 1 && deployments[0]?.rolloutState === 'COMPLETED',
      );
    const targets = async (): Promise<string[]> =>
      (
        (await clients.balancer.send(new DescribeTargetHealthCommand({ TargetGroupArn: targetGroupArn })))
          .TargetHealthDescriptions ?? []
      )
        .filter(({ TargetHealth }) => TargetHealth?.State === 'healthy')
        .map(({ Target }) => `http://${Target?.Id}:${Target?.Port}`);
    const running = async (): Promise<string[]> =>
      (await clients.containers.send(new ListTasksCommand({ cluster: 'staging', serviceName: 'web' }))).taskArns ?? [];
    const environmentOf = async (url: string) => (await (await fetch(url)).json()) as Record<string, string>;
    const good = {
      environment: [
        { name: 'CA', value: '/etc/ssl/rds/global-bundle.pem' },
        { name: 'PORT', value: '3000' },
        { name: 'HOST', value: '0.0.0.0' },
      ],
    };

    /** Asks through the load balancer until it is told to stop; then says which statuses came. */
    const ask = () => {
      const statuses = new Set<number>();
      let more = true;
      const done = (async () => {
        while (more) {
          const answer = await fetch(entry);
          await answer.arrayBuffer();
          statuses.add(answer.status);
        }
      })();
      return {
        end: async () => {
          more = false;
          await done;
          return [...statuses];
        },
      };
    };

    it('keeps its tasks running behind its target group', async () => {
      await clients.containers.send(
        new CreateServiceCommand({
          cluster: 'staging',
          serviceName: 'web',
          desiredCount: 2,
          launchType: 'FARGATE',
          networkConfiguration: network,
          taskDefinition: await define('web', good),
          healthCheckGracePeriodSeconds: 1,
          deploymentConfiguration: { deploymentCircuitBreaker: { enable: true, rollback: true } },
          loadBalancers: [{ targetGroupArn, containerName: 'web', containerPort: 3000 }],
        }),
      );
      const first = await steady();
      expect([first.runningCount, first.desiredCount, first.status]).to.deep.equal([2, 2, 'ACTIVE']);
      const urls = await targets();
      expect(new Set(urls).size).to.equal(2);
      const env = await environmentOf(urls[0] ?? '');
      expect(`http://${env['HOST']}:${env['PORT']}`).to.equal(urls[0]);
      expect([env['CA'], env['NODE_EXTRA_CA_CERTS']]).to.deep.equal([
        '/here/ca.pem',
        join(home, 'certificates', 'ca.pem'),
      ]);
      const arns = await running();
      expect(await task(arns[0] ?? '')).to.include({ group: 'service:web', lastStatus: 'RUNNING' });

      await clients.containers.send(new StopTaskCommand({ cluster: 'staging', task: arns[0] }));
      await until(running, (now) => now.length === 2 && !now.includes(arns[0] ?? ''));
      await until(targets, (now) => now.length === 2 && !now.every((url) => urls.includes(url)));
      expect((await stopped(arns[0] ?? '')).containers?.[0]?.exitCode).to.equal(0);
      expect(await log('web', arns[0] ?? '')).to.deep.equal(['listening', 'goodbye']);
    });

    it('is updated step by step, and taken back where new tasks do not start', async () => {
      const before = await running();
      await update({ taskDefinition: await define('web', { ...good, environment: [{ name: 'NEW', value: '1' }] }) });
      expect((await service()).deployments).to.have.length(2);
      const traffic = ask();
      const updated = await steady();
      expect(await traffic.end()).to.deep.equal([200]);
      expect((await running()).filter((arn) => before.includes(arn))).to.deep.equal([]);
      for (const url of await targets()) expect((await environmentOf(url))['NEW']).to.equal('1');

      const kept = await running();
      for (const fault of ['BREAK', 'SICK']) {
        await update({ taskDefinition: await define('web', { environment: [{ name: fault, value: '1' }] }) });
        const failed = await until(service, ({ deployments = [] }) =>
          deployments.some(({ rolloutState }) => rolloutState === 'FAILED'),
        );
        expect(
          failed.deployments?.find(({ rolloutState }) => rolloutState === 'FAILED')?.rolloutStateReason,
        ).to.contain('tasks failed to start');
        const after = await steady();
        expect(after.taskDefinition).to.equal(updated.taskDefinition);
        expect(after.deployments?.[0]?.rolloutStateReason).to.contain('rolling back');
        expect(await running()).to.have.members(kept);
      }
      await update({ forceNewDeployment: true, desiredCount: 1 });
      expect((await steady()).runningCount).to.equal(1);
      expect(await running()).to.have.length(1);
      expect(kept).not.to.include((await running())[0]);
      expect(await targets()).to.have.length(1);
    });

    it('ends', async () => {
      expect(
        codeOf(
          await clients.containers
            .send(new CreateServiceCommand({ cluster: 'staging', serviceName: 'web', desiredCount: 1 }))
            .catch((error: unknown) => error),
        ),
      ).to.equal('InvalidParameterException');
      await clients.containers.send(new DeleteServiceCommand({ cluster: 'staging', service: 'web', force: true }));
      await until(service, ({ status }) => status === 'INACTIVE');
      expect(await targets()).to.deep.equal([]);
      expect(
        part
          .tasks()
          .filter(({ group }) => group === 'service:web')
          .filter(({ pid, status }) => status !== 'STOPPED' || (pid !== undefined && isAlive(pid))),
      ).to.deep.equal([]);
    });
  });

  it('ends what still runs', async () => {
    const arn = await run(await define('left'));
    await until(
      () => task(arn),
      ({ lastStatus }) => lastStatus === 'RUNNING',
    );
    expect(await readFile(join(home, 'images/shop/staging/one/web.mjs'), 'utf8')).to.equal(web);
  });
});
