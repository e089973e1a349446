import { expect } from 'chai';
import {
  backupId,
  checkedId,
  parseRecord,
  serialiseRecord,
} from '../../../../../../infra/aws/runtime/backups/snapshots.ts';
import { loginOf, scratchClass } from '../../../../../../infra/aws/runtime/databases/databases.ts';
import { addressOf } from '../../../../../../infra/aws/runtime/jobs/previews.ts';
import { freePriority } from '../../../../../../infra/aws/runtime/jobs/preview-routes.ts';
import {
  startFailure,
  streamName,
  taskDefinition,
  type TaskSpec,
} from '../../../../../../infra/aws/runtime/jobs/task.ts';
import { containerEnv } from '../../../../../../infra/aws/runtime/jobs/jobs.ts';
import { whatToDo } from '../../../../../../infra/aws/runtime/databases/roles.ts';
import { scratchIdentifier } from '../../../../../../infra/aws/runtime/databases/scratch.ts';
import type { Setting } from '../../../../../../infra/aws/runtime/client/setting.ts';
import {
  fromTagList,
  isLeftOver,
  temporaryTags,
  type Tags,
} from '../../../../../../infra/aws/runtime/client/temporary.ts';
import { until } from '../../../../../../infra/aws/runtime/client/waiting.ts';
import { settings, spec } from '../../../../../lib/declared.ts';
import { eachWithOwnHome } from '../../../../../lib/own-home.ts';

const marks = { environment: 'staging', application: 'coins', owner: 'learning' } as const;

describe('what is temporary in the account', () => {
  eachWithOwnHome();

  const mine = () => temporaryTags(marks, 'a purpose (with "signs")', 60_000);
  const dead = (): Tags => ({
    ...mine(),
    'greenlight-run': (mine()['greenlight-run'] ?? '').replace(/:\d+$/, ':4194999'),
  });

  it('says what for, whose, and until when, in characters that tags may have', () => {
    expect(mine()['greenlight-temporary']).to.match(/^[\p{L}\p{N}_.:/=+@ -]+$/u);
    expect(mine()).to.include({ environment: 'staging', application: 'coins', owner: 'learning' });
  });

  it('is left over where another program has made it, as this one has the lock', () => {
    expect(isLeftOver(mine(), marks)).to.be.false;
    expect(isLeftOver(dead(), marks)).to.be.true;
    expect(isLeftOver({ ...dead(), 'greenlight-run': 'other:4194999' }, marks)).to.be.true;
  });

  it('is never taken for left over without the tags, or in another environment', () => {
    expect(isLeftOver({}, marks)).to.be.false;
    expect(isLeftOver(dead(), { ...marks, environment: 'production' })).to.be.false;
    expect(isLeftOver(dead(), { ...marks, application: 'other' })).to.be.false;
    const { 'greenlight-temporary': _, ...without } = dead();
    expect(isLeftOver(without, marks)).to.be.false;
  });

  it('has tags in both of the forms of AWS', () => {
    expect(
      fromTagList([
        { Key: 'a', Value: 'b' },
        { key: 'c', value: 'd' },
      ]),
    ).to.deep.equal({ a: 'b', c: 'd' });
    expect(fromTagList(undefined)).to.deep.equal({});
  });
});

describe('scratch instances', () => {
  it('have names that RDS takes', () => {
    const name = scratchIdentifier(`a${'very-'.repeat(12)}long-name`, 'production', 'scratch', '0123abcd');
    expect(name)
      .to.match(/^[a-z](?:-?[a-z0-9])*$/)
      .and.to.match(/-scratch-0123abcd$/);
    expect(name.length).to.be.at.most(63);
  });

  it('are small, of the same processor, and no larger than those of the colours', () => {
    expect(scratchClass('db.m7g.large', 200)).to.equal('db.t4g.medium');
    expect(scratchClass('db.r6i.xlarge', 50)).to.equal('db.t3.small');
    expect(scratchClass('db.t4g.micro', 200)).to.equal('db.t4g.micro');
    expect(scratchClass('db.t3.xlarge', 500)).to.equal('db.t3.large');
  });

  it('log in with what a URL holds', () => {
    expect(loginOf('postgresql://app:a%27%40%2Fb@h:5432/app?x=y')).to.deep.equal({ user: 'app', password: "a'@/b" });
  });

  it('that cannot be reached say what to do, by what went wrong', () => {
    expect(whatToDo(Object.assign(new Error('x'), { code: 'ETIMEDOUT' }))).to.contain('in the VPC');
    expect(whatToDo(new Error('self-signed certificate in certificate chain'))).to.contain('authorities');
    expect(whatToDo(new Error('password authentication failed'))).to.contain('PostgreSQL');
  });
});

describe('records of backups', () => {
  const backup = {
    id: 'x',
    environment: 'staging',
    colour: 'blue',
    version: '1',
    takenAt: '',
    bytes: 1,
    location: '',
  } as const;
  const record = { backup, application: 'coins', snapshot: 's', configuration: { a: 1 } };

  it('come back as they were, and are found changed', () => {
    expect(parseRecord('x', serialiseRecord(record))).to.deep.equal(record);
    expect(() => parseRecord('x', serialiseRecord(record).replace('"a": 1', '"a": 2'))).to.throw('checksum');
    expect(() => parseRecord('x', '')).to.throw('checksum');
  });

  it('have ids in the order of time, in small letters', () => {
    const id = backupId(new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 6)), 'green', '0123abcd');
    expect(id).to.equal('20260102t030405006z-green-0123abcd');
    expect(checkedId(id)).to.equal(id);
    expect(() => checkedId(`${id}/..`)).to.throw('is not the name of one');
  });
});

describe('tasks', () => {
  const foundation = {
    spec: spec('staging'),
    jobs: { executionRoleArn: 'start', taskRoleArn: 'run', logGroup: '/greenlight/staging/jobs' },
    repository: { url: 'r/coins/staging', arn: 'a' },
  } as unknown as Setting['foundation'];
  const artefact = { version: '1', digest: `sha256:${'ab'.repeat(32)}`, location: '' };
  const task: TaskSpec = {
    kind: 'job',
    container: 'job',
    artefact,
    command: ['sh'],
    environment: { A: '' },
    secrets: { B: 'hunter2' },
    tags: {},
  };
  const define = (of: TaskSpec) => taskDefinition({ environment: 'staging', foundation, settings }, of, 'arn:secret');

  it('have no secret in their definition, may write to /tmp only, and lose no line of their log', () => {
    const [container] = define(task).containerDefinitions ?? [];
    expect(JSON.stringify(define(task))).not.to.contain('hunter2');
    expect(container?.secrets).to.deep.equal([{ name: 'B', valueFrom: 'arn:secret:B::' }]);
    expect(container).to.deep.include({
      image: `r/coins/staging:sha256-${'ab'.repeat(32)}`,
      readonlyRootFilesystem: true,
      linuxParameters: { initProcessEnabled: true, capabilities: { drop: ['ALL'] } },
      mountPoints: [{ sourceVolume: 'scratch', containerPath: '/tmp', readOnly: false }],
      environment: [{ name: 'A', value: '' }],
    });
    expect(container?.logConfiguration?.options?.['mode']).to.equal('blocking');
    expect(define(task)).to.deep.include({
      family: 'staging-job',
      executionRoleArn: 'start',
      taskRoleArn: 'run',
      volumes: [{ name: 'scratch' }],
    });
  });

  it('of a preview write nowhere', () => {
    const [container] = define({ ...task, kind: 'preview', port: 3000 }).containerDefinitions ?? [];
    expect(container).to.deep.include({ mountPoints: [], portMappings: [{ containerPort: 3000, protocol: 'tcp' }] });
    expect(container?.logConfiguration?.options?.['mode']).to.equal('non-blocking');
  });

  it('are found again by their log, address and reason', () => {
    expect(streamName('job', 'job', 'arn:aws:ecs:r:1:task/services/0123')).to.equal('job/job/0123');
    const details = [
      { name: 'subnetId', value: 's' },
      { name: 'privateIPv4Address', value: '10.0.0.7' },
    ];
    expect(addressOf({ attachments: [{ type: 'ElasticNetworkInterface', details }] })).to.equal('10.0.0.7');
    expect(addressOf({})).to.equal(undefined);
    expect(
      startFailure(
        { stopCode: 'TaskFailedToStart', stoppedReason: 'CannotPull', containers: [{ name: 'job' }] },
        'job',
      ),
    ).to.equal('CannotPull');
    expect(
      startFailure({ stopCode: 'EssentialContainerExited', containers: [{ name: 'job', exitCode: 0 }] }, 'job'),
    ).to.equal(undefined);
  });

  it('get no path of this machine', () => {
    const url = 'postgresql://a:b@h/app?sslmode=verify-full&sslrootcert=%2Fhere%2Fca.pem&x=1';
    expect(containerEnv({ DATABASE_URL: url, NODE_EXTRA_CA_CERTS: '/here', A: 'postgres' })).to.deep.equal({
      DATABASE_URL: 'postgresql://a:b@h/app?sslmode=verify-full&sslrootcert=/etc/ssl/rds/global-bundle.pem&x=1',
      A: 'postgres',
    });
  });

  it('take the first free priority between the header routes and the fence', () => {
    expect(freePriority(new Set([100, 300, 301, 1000]))).to.equal(302);
    const all = new Set(Array.from({ length: 700 }, (_, i) => 300 + i));
    expect(() => freePriority(all)).to.throw('all priorities are used');
  });
});

describe('waiting', () => {
  const wait = { doing: 'waiting', deadlineMs: 200, pollMs: 10, todo: 'do something' };
  const failing = (name: string) => Promise.reject(Object.assign(new Error('Rate exceeded'), { name }));

  it('ends with the result, over errors that may pass', async () => {
    let asked = 0;
    const result = await until(wait, () => ((asked += 1) < 3 ? failing('Throttling') : Promise.resolve({ asked })));
    expect(result).to.deep.equal({ asked: 3 });
  });

  it('ends at once with any other error', async () => {
    let asked = 0;
    const attempt = () => failing(`AccessDenied${(asked += 1)}`);
    const error = await until(wait, attempt).catch((reason: unknown) => reason);
    expect([(error as Error).name, asked]).to.deep.equal(['AccessDenied1', 1]);
  });

  it('ends with what was found last, when time is over', async () => {
    const error = await until(wait, () => Promise.resolve('it is creating')).catch((reason: unknown) => reason);
    expect((error as Error).message).to.match(/^waiting: after 0 s: it is creating\n {2}do something$/);
  });
});
