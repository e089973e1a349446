import { expect } from 'chai';
import { createEngine } from '../../../../automation/stacks/engine.ts';
import type { EngineSettings } from '../../../../infra/platform/engine.ts';
import type { Platform } from '../../../../infra/platform/platform.ts';

const urn = (type: string, name: string) =>
  `urn:pulumi:staging-blue::greenlight::greenlight:aws:Colour$${type}::${name}`;

/** A platform of which only the files of the state are there. */
function platformWith(files: Record<string, string>): Platform {
  const state: EngineSettings['state'] = {
    read: (path) => Promise.resolve(files[path]),
    write: () => Promise.resolve(),
    list: (directory) => Promise.resolve(Object.keys(files).filter((path) => path.startsWith(directory))),
    remove: () => Promise.resolve(),
  };
  return { name: 'aws', engine: { state } } as unknown as Platform;
}

describe('resources that the engine recorded', () => {
  const resources = [
    { urn: urn('pulumi:pulumi:Stack', 'x'), type: 'pulumi:pulumi:Stack', outputs: {} },
    { urn: urn('greenlight:aws:Colour', 'staging-blue'), type: 'greenlight:aws:Colour' },
    { urn: urn('pulumi:providers:aws', 'aws'), type: 'pulumi:providers:aws', custom: true, inputs: {} },
    {
      urn: urn('aws:sns/topic:Topic', 'alarms'),
      type: 'aws:sns/topic:Topic',
      custom: true,
      inputs: { tags: { owner: 'x' } },
      outputs: { arn: 'arn' },
    },
  ];
  const file = '.pulumi/stacks/greenlight/staging-blue.json';

  it('are those that stand for something, by type and name, with what they were asked to be', async () => {
    const engine = createEngine(platformWith({ [file]: JSON.stringify({ checkpoint: { latest: { resources } } }) }));
    expect(await engine.resources('staging', 'blue')).to.deep.equal([
      { type: 'aws:sns/topic:Topic', name: 'alarms', inputs: { tags: { owner: 'x' } } },
    ]);
  });

  it('are none where the stack was never up', async () => {
    expect(await createEngine(platformWith({})).resources('production', 'green')).to.deep.equal([]);
  });
});
