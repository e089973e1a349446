import { expect } from 'chai';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  AddTagsCommand,
  DescribeRulesCommand,
  DescribeTargetGroupsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { ListTaskDefinitionsCommand } from '@aws-sdk/client-ecs';
import { imageTag } from '../../../../../../infra/aws/lib/names.ts';
import { sweepTasks } from '../../../../../../infra/aws/runtime/jobs/sweep.ts';
import { createAwsPreviews } from '../../../../../../infra/aws/runtime/jobs/previews.ts';
import type { ServiceSpec } from '../../../../../../infra/model.ts';
import type { DatabaseAccess } from '../../../../../../infra/platform/databases.ts';
import { parseReference, storeImage } from '../../../../../emulated-account/images.ts';
import { tasksPart, type TasksPart } from '../../../../../emulated-account/tasks.ts';
import { refusal } from '../../../../../contract/databases.ts';
import { openAccount, type Account } from '../../setting.ts';
import { withSidecar } from '../../sidecar.ts';

const waits = { pollMs: 100, startMs: 20_000, healthyMs: 15_000 };

const program = `
const { HOST, PORT, GREENLIGHT_COLOUR, GREENLIGHT_VERSION, DATABASE_URL } = process.env;
const name = process.argv[2];
if (name === 'breaks') { console.error('secret hunter2 is wrong'); process.exit(3); }
require('http').createServer((request, response) => {
  response.statusCode = request.url === '/sick' ? 500 : 200;
  response.end(JSON.stringify({ name, colour: GREENLIGHT_COLOUR, version: GREENLIGHT_VERSION, database: DATABASE_URL }));
}).listen(Number(PORT), HOST);
`;

const service = (name: string, more: Partial<ServiceSpec> = {}): ServiceSpec => ({
  name,
  start: ['node', 'server.cjs', name],
  health: '/ok',
  routes: ['/'],
  instances: 1,
  database: false,
  env: {},
  ...more,
});

describe('previews as tasks of ECS', () => {
  let account: Account;
  let tasks: TasksPart;
  let artefact: { version: string; digest: string; location: string };
  const access: DatabaseAccess = {
    host: 'database.example.org',
    port: 5432,
    database: 'app',
    caFile: '/here/ca.pem',
    admin: { user: 'a', password: 'a' },
    owner: { user: 'owner', password: 'o' },
    app: { user: 'app', password: 'hunter2' },
  };

  before(async () => {
    account = await openAccount({ services: [service('web'), service('api', { routes: ['/api'], database: true })] });
    const images = join(account.folder, 'images');
    const authority = join(account.certificates, 'ca.pem');
    const directory = join(account.folder, 'tasks');
    tasks = tasksPart({ directory, images, authority, endpoint: account.gateway.endpoint, mostStopMs: 1000 });
    account.gateway.use(withSidecar(tasks.hooks));
    const location = join(account.folder, 'artefact');
    await mkdir(location);
    await writeFile(join(location, 'server.cjs'), program);
    artefact = { version: '2.0.0', digest: `sha256:${'0'.repeat(64)}`, location };
    const reference = parseReference(`${account.foundation.repository.url}:${imageTag(artefact.digest)}`);
    const facts = { digest: 'sha256:1', platform: 'linux/amd64', entryPoint: [], command: [], env: {} };
    await storeImage(images, reference, location, facts);
  });
  after(async () => {
    await tasks?.close();
    await account?.close();
  });
  afterEach(() => account.gateway.faults.clear());

  const previews = (services?: ServiceSpec[]) => {
    const { foundation } = account;
    const own = services === undefined ? foundation : { ...foundation, spec: { ...foundation.spec, services } };
    return createAwsPreviews({
      ...account,
      foundation: own,
      waits,
      redact: (text) => text.replaceAll('hunter2', '[redacted]'),
    });
  };
  const rules = async () =>
    (
      (await account.clients.balancer.send(new DescribeRulesCommand({ ListenerArn: account.foundation.listenerArn })))
        .Rules ?? []
    ).filter(({ IsDefault }) => IsDefault !== true);
  const groups = async () =>
    (await account.clients.balancer.send(new DescribeTargetGroupsCommand({}))).TargetGroups ?? [];
  async function nothingIsLeft() {
    expect(await rules()).to.deep.equal([]);
    expect(await groups()).to.deep.equal([]);
    expect((await account.clients.secrets.send(new ListSecretsCommand({}))).SecretList).to.deep.equal([]);
    const query = new ListTaskDefinitionsCommand({ status: 'ACTIVE' });
    expect((await account.clients.containers.send(query)).taskDefinitionArns).to.deep.equal([]);
    expect(tasks.tasks().filter(({ status }) => !/STOPP/.test(status))).to.deep.equal([]);
  }

  it('answer at the entry point who has the header, and nobody else, until they are disposed of', async () => {
    const preview = await previews().serve(artefact, access);
    const get = async (path: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(`${preview.baseUrl}${path}`, { headers });
      return { status: answer.status, text: await answer.text() };
    };
    const web = JSON.parse((await get('/', preview.routeHeaders)).text) as Record<string, string>;
    expect(web).to.deep.equal({ name: 'web', colour: 'preview', version: '2.0.0' });
    const api = JSON.parse((await get('/api/x', preview.routeHeaders)).text) as Record<string, string>;
    expect(api).to.include({ name: 'api', colour: 'preview' });
    expect(api['database']).to.match(
      /^postgresql:\/\/app:hunter2@database\.example\.org:5432\/app\?sslmode=verify-full/,
    );
    expect((await get('/')).status).to.equal(503);
    expect((await get('/', { 'x-greenlight-preview': 'guessed' })).status).to.equal(503);
    expect((await rules()).map(({ Priority }) => Number(Priority))).to.deep.equal([300, 301]);
    const other = await previews().serve(artefact, access);
    expect((await rules()).map(({ Priority }) => Number(Priority)).sort()).to.deep.equal([300, 301, 302, 303]);
    await other.dispose();
    expect((await get('/', preview.routeHeaders)).status).to.equal(200);
    await preview.dispose();
    expect((await get('/', preview.routeHeaders)).status).to.equal(503);
    await preview.dispose();
    await nothingIsLeft();
  });

  it('that end reject with the end of their log, redacted, and leave nothing', async () => {
    const message = await refusal(
      previews([service('web'), service('breaks', { routes: ['/b'] })]).serve(artefact, access),
    );
    expect(message).to.match(/starting 2\.0\.0 on a database of its own: breaks ended with exit code 3/);
    expect(message).to.contain('secret [redacted] is wrong').and.to.contain('node server.cjs breaks');
    await nothingIsLeft();
  });

  it('that never become healthy reject, and leave nothing', async () => {
    const sick = createAwsPreviews({
      ...account,
      foundation: {
        ...account.foundation,
        spec: { ...account.foundation.spec, services: [service('web', { health: '/sick' })] },
      },
      waits: { ...waits, healthyMs: 1000 },
    });
    expect(await refusal(sick.serve(artefact, access))).to.match(
      /web at \/sick is unhealthy.*\n.*log stream preview\/web\//,
    );
    await nothingIsLeft();
  });

  it('whose image is missing reject, and leave nothing', async () => {
    const other = { ...artefact, digest: `sha256:${'1'.repeat(64)}` };
    expect(await refusal(previews().serve(other, access))).to.match(/CannotPullContainerError/);
    await nothingIsLeft();
  });

  it('take another priority where theirs was just taken, and survive throttling', async () => {
    let taken = 0;
    const error =
      '<ErrorResponse><Error><Type>Sender</Type><Code>PriorityInUse</Code><Message>Priority 300 is in use</Message></Error></ErrorResponse>';
    const answer = { status: 400, headers: { 'content-type': 'text/xml' }, body: Buffer.from(error) };
    const before = () => Promise.resolve((taken += 1) === 1 ? answer : undefined);
    account.gateway.use([{ service: 'elasticloadbalancing', actions: ['CreateRule'], before }]);
    for (const action of ['CreateRule', 'RegisterTargets', 'DescribeTargetHealth', 'DeleteRule'])
      account.gateway.faults.add({ kind: 'throttling', service: 'elasticloadbalancing', action, times: 2 });
    const preview = await previews().serve(artefact, access);
    await preview.dispose();
    await nothingIsLeft();
  });

  it('that a killed run left are swept; those that run stay', async () => {
    const left = await previews([service('web')]).serve(artefact, access);
    const running = await previews([service('web')]).serve(artefact, access);
    const [first] = await rules();
    const group = first?.Actions?.[0]?.ForwardConfig?.TargetGroups?.[0]?.TargetGroupArn ?? '';
    const Tags = [{ Key: 'greenlight-run', Value: 'another-machine:1' }];
    await account.clients.balancer.send(new AddTagsCommand({ ResourceArns: [first?.RuleArn ?? '', group], Tags }));
    expect(await previews().sweep()).to.deep.equal([first?.RuleArn, group]);
    expect(await rules()).to.have.length(1);
    expect((await fetch(running.baseUrl, { headers: running.routeHeaders })).status).to.equal(200);
    expect(await sweepTasks(account)).to.deep.equal([]);
    await left.dispose();
    await running.dispose();
    await nothingIsLeft();
  });
});
