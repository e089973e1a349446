import { expect } from 'chai';
import { volatileProperties } from '../../../../../infra/aws/runtime/engine/engine-settings.ts';
import {
  all,
  colourSpec,
  declaration,
  declare,
  declareEnvironment,
  settings,
  type Declared,
  type Environment,
} from '../../../../lib/declared.ts';

/** What the programs tell the engine, and AWS never sees. */
describe('options of the resources', () => {
  let production: Environment;
  let staging: Environment;

  before(async () => {
    production = await declareEnvironment('production', { live: 'blue', percent: 10 });
    staging = await declareEnvironment('staging', { live: 'blue', percent: 10 });
  });

  for (const [stack, type] of [
    ['blue', 'rds/instance:Instance'],
    ['foundation', 'kms/key:Key'],
    ['foundation', 's3/bucket:Bucket'],
    ['foundation', 'backup/vault:Vault'],
  ] as const)
    it(`keep every ${type} of production from being deleted, by mistake too`, () => {
      const [kept, free] = [all(production[stack], type), all(staging[stack], type)];
      expect(kept.map(({ options }) => options.protect)).to.deep.equal(kept.map(() => true));
      expect(free.map(({ options }) => options.protect)).to.deep.equal(kept.map(() => false));
    });

  it('leave to AWS what grows by itself', () => {
    expect(declaration(production.blue, 'rds/instance:Instance').options.ignoreChanges).to.deep.equal([
      'allocatedStorage',
    ]);
    expect(declaration(production.blue, 'ecs/service:Service', 'api').options.ignoreChanges).to.deep.equal([
      'desiredCount',
    ]);
  });

  it('leave to the schedules what they change, and change it themselves where there are none', async () => {
    const target = (declared: Declared[]) =>
      declaration(declared, 'appautoscaling/target:Target', 'api').options.ignoreChanges;
    expect(target(production.blue)).to.deep.equal(['minCapacity', 'maxCapacity']);
    const tasks = { ...settings.tasks, schedules: [] };
    const config = { kind: 'blue', colour: colourSpec('blue') } as const;
    const always = await declare('production', config, new Map(production.outputs), { ...settings, tasks });
    expect(target(always)).to.deep.equal([]);
  });

  it('ignore nothing that the preflight would then take for drift', () => {
    const ignoring = production.all.filter(({ options }) => options.ignoreChanges.length > 0);
    expect(ignoring.length).to.be.above(2);
    for (const { type, options } of ignoring)
      expect(volatileProperties[type], type).to.include.members(options.ignoreChanges);
  });

  it('never ignore a weight, as what is ignored is reset (pulumi-aws #5798)', () => {
    for (const { options } of all(production.traffic, 'lb/listenerRule:ListenerRule'))
      expect(options.ignoreChanges).to.deep.equal([]);
  });

  it('free a priority before it is used again', () => {
    for (const { options } of all(production.traffic, 'lb/listenerRule:ListenerRule'))
      expect(options.deleteBeforeReplace).to.equal(true);
  });

  const after = (stack: keyof Omit<Environment, 'all' | 'outputs'>, type: string, part = '') =>
    declaration(production[stack], type, part).options.dependsOn.join('\n');

  it('make the log groups before the database would', () => {
    expect(after('blue', 'rds/instance:Instance')).to.contain('LogGroup production-blue-database-postgresql');
  });

  it('make the header route before the service, as ECS refuses a target group without one', () => {
    expect(after('blue', 'ecs/service:Service', 'api')).to.contain('ListenerRule production-blue-header-0');
  });

  it('let the load balancer write before it is there', () => {
    expect(after('foundation', 'lb/loadBalancer:LoadBalancer')).to.contain('BucketPolicy production-access-logs');
  });

  it('let the load balancer call the fence before it is attached', () => {
    expect(after('foundation', 'lb/targetGroupAttachment:TargetGroupAttachment')).to.contain(
      'Permission production-fence',
    );
  });

  it('let the budget publish before it names the topic', () => {
    expect(after('foundation', 'budgets/budget:Budget')).to.contain('TopicPolicy production-alarms');
  });

  it('keep secrets out of state and logs', () => {
    const { foundation, blue } = production;
    expect(declaration(blue, 'secretsmanager/secretVersion:SecretVersion', 'app').secrets).to.deep.equal([
      'secretString',
    ]);
    expect(declaration(foundation, 'sns/topicSubscription:TopicSubscription', 'on-call').secrets).to.deep.equal([
      'endpoint',
    ]);
    expect(declaration(blue, 'lb/listenerRule:ListenerRule', 'header-0').secrets).to.deep.equal(['conditions']);
  });
});
