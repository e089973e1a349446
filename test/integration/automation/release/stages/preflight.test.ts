import { expect } from 'chai';
import { printPreconditions } from '../../../../../automation/commands/release.ts';
import type { CommandSession } from '../../../../../automation/commands/session.ts';
import { checkRelease } from '../../../../../automation/config/load.ts';
import type { ReleaseContext } from '../../../../../automation/release/context/context.ts';
import type { Release } from '../../../../../automation/release/context/release.ts';
import { StageStopped, takeSteps } from '../../../../../automation/release/context/stage.ts';
import { preflight } from '../../../../../automation/release/stages/preflight.ts';
import { validDefinition } from '../../../../lib/valid-definition.ts';
import { eachWithOwnHome } from '../../../../lib/own-home.ts';
import { createRig, schemaV1, type Rig } from '../../data/rig.ts';

describe('the preconditions of the live database', () => {
  eachWithOwnHome();
  let rig: Rig;
  before(async () => {
    rig = await createRig();
  });
  after(() => rig.dispose());
  beforeEach(() => rig.fresh(schemaV1));

  const definition = checkRelease('shop.config.ts', validDefinition(), () => []);
  const environment = () => ({
    router: { entry: { baseUrl: '', routeHeaders: () => ({}) } },
    databases: { of: () => Promise.resolve(rig.blue.access) },
    backups: {},
    close: () => Promise.resolve(),
  });
  // Rows are copied, so that large objects are refused.
  const platform = { initialCopy: 'logical' };
  /** The step of the preflight that asks the database; the others are about tools and stacks. */
  const ask = async (): Promise<unknown> => {
    const release = {
      kind: 'release',
      environment: 'production',
      definition,
      from: { colour: 'blue', version: '1.0.0' },
      to: { colour: 'green', version: '2.0.0' },
      platform,
    } as unknown as Release;
    const steps = preflight(release).steps.filter(({ says }) => says.includes('can be replicated'));
    expect(steps).to.have.length(1);
    const context = {
      signal: new AbortController().signal,
      waiting: () => undefined,
      platform,
      connect: () => Promise.resolve(environment()),
    } as unknown as ReleaseContext;
    return takeSteps(context, { steps }).catch((error: unknown) => error);
  };
  /** What a dry run says of them. */
  const dryRun = async (connect = () => Promise.resolve(environment())): Promise<string> => {
    const said: string[] = [];
    const session = {
      definition,
      engine: {},
      platform: { ...platform, connect },
      terminal: { print: (text: string) => said.push(text) },
    } as unknown as CommandSession;
    await printPreconditions(session, 'blue');
    return said.join('\n');
  };
  const breakTwice = () =>
    rig.run(rig.blue, `CREATE TABLE notes (body text); ALTER TABLE notes OWNER TO owner; SELECT lo_create(0)`);

  it('are met by a sound database', async () => {
    expect(await ask()).to.equal(undefined);
    expect(await dryRun())
      .to.contain('can be replicated')
      .and.not.contain('cannot');
  });

  it('stop the release in its preflight, all at once, each with its cure [H4]', async () => {
    await breakTwice();
    const stopped = await ask();
    expect(stopped).to.be.instanceOf(StageStopped).and.to.include({ outcome: 'no-go' });
    expect((stopped as Error).message)
      .to.include('blue cannot be replicated: table public.notes has no primary key')
      .and.include('cure: add a primary key, or: ALTER TABLE "public"."notes" REPLICA IDENTITY FULL')
      .and.include('blue cannot be replicated: 1 large objects')
      .and.include('lo_unlink');
  });

  it('are told in a dry run, which says so where it cannot ask', async () => {
    await breakTwice();
    expect(await dryRun())
      .to.include('A release would stop in the preflight: blue cannot be replicated.')
      .and.include('table public.notes has no primary key')
      .and.include('add a primary key, or:')
      .and.include('1 large objects');
    expect(await dryRun(() => Promise.reject(new Error('nobody answers')))).to.include('is not known: nobody answers');
  });
});
