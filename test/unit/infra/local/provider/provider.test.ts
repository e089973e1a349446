import { expect } from 'chai';
import { z } from 'zod';
import { createProvider } from '../../../../../infra/local/provider/adapter.ts';
import { place, type Found, type Handler, type Place } from '../../../../../infra/local/provider/handler.ts';

const urn = 'urn:pulumi:staging-blue::greenlight::greenlight:stack:Colour$greenlight:local:Thing::thing.1';
const where: Place = { environment: 'staging', directory: '/env' };
const inputs = place.extend({ size: z.number().min(1, 'must be at least 1') });
type Inputs = z.infer<typeof inputs>;

let found: Found = 'as recorded';
const seen: unknown[] = [];
const thing: Handler<Inputs, { serial: number }> = {
  inputs,
  create: () => Promise.resolve({ serial: 1 }),
  read: (state) => Promise.resolve((seen.push(state), found)),
  update: (_news, state) => Promise.resolve((seen.push(state), { serial: state.serial + 1 })),
  delete: () => Promise.resolve(),
};
const provider = createProvider('1.0.0', new Map([['greenlight:local:Thing', thing]]));
const state = { ...where, size: 1, serial: 1 };

describe("Greenlight's Pulumi provider", () => {
  beforeEach(() => {
    found = 'as recorded';
    seen.length = 0;
  });

  it('names what is wrong with inputs', async () => {
    const result = await provider.check?.(urn, {}, { ...where, size: 0, colour: 'red' });
    expect(result?.failures).to.deep.include({ property: 'size', reason: 'must be at least 1' });
    expect(JSON.stringify(result?.failures)).to.include('colour');
    expect((await provider.check?.(urn, {}, { ...where, size: 1 }))?.failures).to.equal(undefined);
  });

  it('lets values pass that are not known yet', async () => {
    const result = await provider.check?.(urn, {}, { ...where, size: '04da6b54-80e4-46f7-96ec-b56ff0331ba9' });
    expect(result?.failures).to.equal(undefined);
  });

  it('rejects a type that it does not have', async () => {
    const other = urn.replace('Thing', 'Other');
    let message = '';
    try {
      await provider.create?.(other, where);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).to.include('greenlight:local:Other');
  });

  it('gives a resource its name as id, and keeps inputs and what was computed', async () => {
    expect(await provider.create?.(urn, { ...where, size: 1 })).to.deep.equal({ id: 'thing.1', outs: state });
  });

  it('sees a change, and nothing where there is none', async () => {
    expect((await provider.diff?.('thing.1', urn, state, { ...where, size: 1 }))?.changes).to.equal(false);
    const changed = await provider.diff?.('thing.1', urn, state, { ...where, size: 2 });
    expect(changed).to.deep.include({ changes: true, replaces: [] });
    const moved = await provider.diff?.('thing.1', urn, state, { ...where, directory: '/other', size: 1 });
    expect(moved).to.deep.include({ replaces: ['directory'], deleteBeforeReplace: true });
  });

  it('sees an input that is not wanted any more', async () => {
    const before = { ...state, https: 8443 };
    const provided = createProvider(
      '1.0.0',
      new Map([['greenlight:local:Thing', { ...thing, inputs: inputs.extend({ https: z.number().optional() }) }]]),
    );
    const result = await provided.diff?.('thing.1', urn, before, { ...where, size: 1 });
    expect(result?.changes).to.equal(true);
  });

  it('turns drift into an update, which ends it', async () => {
    found = { drift: 'it does not run' };
    const read = await provider.read?.('thing.1', urn, state);
    expect(read).to.deep.equal({ id: 'thing.1', props: { ...state, drift: 'it does not run' } });
    expect((await provider.diff?.('thing.1', urn, read?.props, { ...where, size: 1 }))?.changes).to.equal(true);
    const updated = await provider.update?.('thing.1', urn, read?.props, { ...where, size: 1 });
    expect(updated?.outs).to.deep.equal({ ...state, serial: 2 });
    expect(seen.every((one) => !Object.hasOwn(one as object, 'drift'))).to.equal(true);
  });

  it('tells the engine of what is gone', async () => {
    found = 'absent';
    expect((await provider.read?.('thing.1', urn, state))?.id).to.equal('');
  });
});
