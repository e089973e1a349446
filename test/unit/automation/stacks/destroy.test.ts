import { expect } from 'chai';
import { destroyEnvironment } from '../../../../automation/stacks/destroy.ts';
import type { Engine } from '../../../../automation/stacks/engine.ts';
import { OperationError } from '../../../../infra/lib/errors.ts';
import type { Platform } from '../../../../infra/platform/platform.ts';

/** An engine whose blue stack has one database; says what was asked of it. */
function engineWith(protect: boolean, broken = false, directory?: string) {
  const asked: string[] = [];
  const engine = {
    resources: (_: string, kind: string) =>
      Promise.resolve(
        kind === 'blue'
          ? [{ type: 'db', name: 'blue-database', inputs: { directory }, ...(protect ? { protect } : {}) }]
          : [],
      ),
    destroy({ kind }: { kind: string }) {
      asked.push(`destroy ${kind}`);
      return broken
        ? Promise.reject(new Error('the engine cannot'))
        : Promise.resolve({ changes: { delete: 1 }, ms: 0, outputs: {} });
    },
    forget: (_: string, kind: string) => Promise.resolve(void asked.push(`forget ${kind}`)),
  } as unknown as Engine;
  return { engine, asked };
}
const platform = (wipesAll: boolean) => ({ wipesAll, wipe: () => Promise.resolve([]) }) as unknown as Platform;
const take = (engine: Engine, wipesAll: boolean) =>
  destroyEnvironment(engine, platform(wipesAll), 'production', { keepBackups: true });
const failure = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('taking an environment down', () => {
  it('changes nothing where a part is protected, and names it', async () => {
    const { engine, asked } = engineWith(true);
    const error = await failure(take(engine, false));
    expect(error).to.be.instanceOf(OperationError);
    expect(String(error)).to.contain('blue-database').and.to.contain('nothing was changed');
    expect(asked).to.deep.equal([]);
  });

  it('changes nothing where the state is of another copy of the project', async () => {
    const { engine, asked } = engineWith(false, false, '/old/environments/production');
    const refused = String(await failure(take(engine, true)));
    expect(refused).to.contain('/old/environments/production').and.contain('nothing was changed');
    expect(asked).to.deep.equal([]);
  });

  it('takes the stacks down in reverse order', async () => {
    const { engine, asked } = engineWith(false);
    await take(engine, false);
    expect(asked).to.deep.equal(['destroy traffic', 'destroy green', 'destroy blue', 'destroy foundation']);
  });

  it('forgets what the engine could not take down only where the platform does it without the engine', async () => {
    const elsewhere = engineWith(false, true);
    expect(String(await failure(take(elsewhere.engine, false)))).to.contain('the engine cannot');
    expect(elsewhere.asked).to.deep.equal(['destroy traffic']);
    const here = engineWith(false, true);
    expect((await take(here.engine, true)).withoutEngine).to.have.length(4);
    expect(here.asked).to.include('forget traffic');
  });
});
