import { expect } from 'chai';
import { disagreements, type Record } from '../../../../../automation/release/context/agreement.ts';
import { doubtOf, findLive, readLive } from '../../../../../automation/release/context/live.ts';
import type { Engine } from '../../../../../automation/stacks/engine.ts';
import { checkRelease } from '../../../../../automation/config/load.ts';
import { gatesOf } from '../../../../../automation/release/plan.ts';
import { OperationError } from '../../../../../infra/lib/errors.ts';
import type { Found } from '../../../../../infra/platform/platform.ts';
import { validDefinition } from '../../../../lib/valid-definition.ts';

const artefact = (version: string) => ({ version, digest: `sha256:${version}`, location: '/a' });

/** An engine that recorded these stacks: outputs by kind. */
const engineWith = (stacks: { [kind: string]: object | undefined }) =>
  ({
    exists: (_: string, kind: string) => Promise.resolve(stacks[kind] !== undefined),
    resources: () => Promise.resolve([]),
    outputs: (_: string, kind: string) => Promise.resolve(stacks[kind] ?? {}),
    config: (_: string, kind: string) =>
      Promise.resolve(kind === 'traffic' ? { kind, ...stacks[kind] } : { kind, colour: stacks[kind] }),
  }) as unknown as Engine;

const nothing: Found = { where: 'this machine', live: undefined, databases: [], versions: {}, facts: [] };
const running: Found = {
  ...nothing,
  live: 'blue',
  databases: ['blue'],
  versions: { blue: '1.0.0' },
  facts: ['the balancer runs and sends writes to blue'],
};
const session = (engine: Engine, found: Found) =>
  ({
    engine,
    definition: checkRelease('shop.config.ts', validDefinition(), gatesOf),
    platform: { wipesAll: true, engine: { backendUrl: 'file:///home/state' }, found: () => Promise.resolve(found) },
  }) as unknown as Parameters<typeof findLive>[0];

const whole = {
  foundation: { ready: true },
  traffic: { split: { live: 'blue', percent: 0 } },
  blue: { colour: 'blue', artefact: artefact('1.0.0') },
};

const refusal = (promise: Promise<unknown>): Promise<OperationError> =>
  promise.then(
    (value) => {
      throw new Error(`nothing was refused: ${JSON.stringify(value)}`);
    },
    (error: unknown) => {
      expect(error).to.be.instanceOf(OperationError);
      return error as OperationError;
    },
  );

describe('what is live, by the record', () => {
  it('is refused where an old record names another colour than the balancer, which only the record leads to', async () => {
    const onAws: Found = {
      where: 'the account 1',
      live: undefined,
      databases: ['blue', 'green'],
      versions: {},
      facts: [],
    };
    const engine = engineWith({ ...whole, green: { colour: 'green' } });
    const at = (read: () => Promise<object>) => {
      const seen = session(engine, onAws);
      Object.assign(seen.platform, {
        connect: () => Promise.resolve({ router: { read }, close: () => Promise.resolve() }),
      });
      return doubtOf(seen, 'production');
    };
    const doubt = await at(() => Promise.resolve({ split: { live: 'green', percent: 0 } }));
    expect(doubt?.found).to.contain('green is live, not blue').and.contain('the balancer sends writes to green');
    expect(await at(() => Promise.resolve({ split: { live: 'blue', percent: 0 } }))).to.equal(undefined);
    expect(await at(() => Promise.reject(new Error('no answer')))).to.equal(undefined);
  });

  it('is never "nothing" where the traffic stack names a colour whose stack is lost or names no version', async () => {
    const { foundation, traffic } = whole;
    for (const stacks of [
      { foundation, traffic },
      { foundation, traffic, blue: { colour: 'blue' } },
    ]) {
      const { name, found, todo } = await refusal(readLive(engineWith(stacks), 'production'));
      expect(name).to.equal('UntrustedState');
      expect(found).to.include('blue is live by the stack production-traffic');
      expect(todo).to.include('nothing was changed').and.include('docs/runbook.md');
    }
  });

  it('is undefined before the first go-live, and else the colour with its version', async () => {
    expect(await readLive(engineWith({}), 'production')).to.equal(undefined);
    const live = { colour: 'blue', artefact: artefact('1.0.0') };
    expect(await readLive(engineWith(whole), 'production')).to.deep.equal(live);
  });
});

describe('what is live, by the record and by what runs', () => {
  it('is refused with both sides where the record is lost and something runs', async () => {
    const { name, found, todo } = await refusal(findLive(session(engineWith({}), running), 'production'));
    expect(name).to.equal('UntrustedState');
    expect(found).to.include('blue is live, and the state knows nothing of it');
    expect(found).to.match(/the state \(\/home\/state\/.*\) says: nothing is recorded/);
    expect(found).to.include('this machine says: the balancer runs and sends writes to blue');
    expect(todo).to.include('nothing was changed').and.include('npm run destroy -- --environment production');
  });

  it('says what runs beside a record that is damaged', async () => {
    const { UntrustedState } = await import('../../../../../automation/stacks/state.ts');
    const damaged = () =>
      Promise.reject(new UntrustedState('reading', '/state/production-blue.json is empty', 'put it back'));
    const engine = { ...engineWith(whole), outputs: damaged } as unknown as Engine;
    const doubt = await doubtOf(session(engine, running), 'production');
    expect(doubt?.found).to.include('/state/production-blue.json is empty').and.include('sends writes to blue');
    expect(doubt?.todo).to.equal('put it back');
  });

  it('is what both say', async () => {
    expect(await findLive(session(engineWith({}), nothing), 'production')).to.equal(undefined);
    expect((await findLive(session(engineWith(whole), running), 'production'))?.artefact.version).to.equal('1.0.0');
  });

  const record: Record = { foundation: true, live: 'blue', colours: { blue: { version: '1.0.0' } } };
  const cases: [string, Record, Found, RegExp | undefined][] = [
    ['nothing recorded, nothing there', { foundation: false, live: undefined, colours: {} }, nothing, undefined],
    ['a foundation alone', { foundation: true, live: undefined, colours: {} }, nothing, undefined],
    ['both the same', record, running, undefined],
    ['the machine was restarted, its data is there', record, { ...nothing, databases: ['blue'] }, undefined],
    [
      'an idle colour with its database',
      { ...record, colours: { ...record.colours, green: { version: undefined } } },
      { ...running, databases: ['blue', 'green'] },
      undefined,
    ],
    [
      'the idle colour’s database is gone',
      { ...record, colours: { ...record.colours, green: { version: undefined } } },
      running,
      undefined,
    ],
    [
      'another colour is live',
      record,
      { ...running, live: 'green', databases: ['blue', 'green'] },
      /^green is live, not blue; there is a database of green/,
    ],
    [
      'nobody is recorded as live',
      { ...record, live: undefined },
      running,
      /^blue is live, and the state knows nothing of it$/,
    ],
    [
      'nobody is live at the balancer, and a database is not known',
      { ...record, live: undefined, colours: {} },
      { ...nothing, databases: ['green'] },
      /^there is a database of green that the state does not know$/,
    ],
    ['the live database is gone', record, { ...nothing }, /^blue is live, and its database is gone$/],
    ['the record is an old one', record, { ...running, versions: { blue: '2.0.0' } }, /^blue runs 2.0.0, not 1.0.0$/],
    [
      'the traffic stack is lost, and nothing else tells who is live',
      { ...record, live: undefined },
      { ...nothing, databases: ['blue'] },
      /^1.0.0 is recorded on blue, and nobody as live$/,
    ],
    [
      'what runs on the live colour is not recorded',
      { ...record, colours: { blue: { version: undefined } } },
      running,
      /^blue is live, and no version is recorded on it$/,
    ],
    [
      'the stack of the live colour is lost',
      { ...record, colours: {} },
      running,
      /^there is a database of blue that .*; blue is live, and no version is recorded on it$/,
    ],
    [
      'the project was copied with its state',
      { ...record, elsewhere: '/old' },
      running,
      /^the state belongs to the environment in \/old: the project was moved or copied$/,
    ],
    ['the foundation is lost', { ...record, foundation: false }, running, /^colours are recorded, and the foundation/],
  ];
  for (const [what, recorded, found, wanted] of cases) {
    it(`${wanted === undefined ? 'agree' : 'disagree'}: ${what}`, () => {
      const differences = disagreements(recorded, found).join('; ');
      if (wanted === undefined) expect(differences).to.equal('');
      else expect(differences).to.match(wanted);
    });
  }
});
