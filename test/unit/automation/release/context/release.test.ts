import { expect } from 'chai';
import { releaseDefinition } from '../../../../../automation/config/schema.ts';
import { readOnlyWindowOf } from '../../../../../automation/release/context/release.ts';
import { gatesOf } from '../../../../../automation/release/plan.ts';
import { validDefinition } from '../../../../lib/valid-definition.ts';

describe('the read-only window of a release', () => {
  const readOnlyWindow = { longestSeconds: 90 };
  const definitionWith = (migrations: object) => {
    const { application, ...rest } = validDefinition();
    const input = { ...rest, application: { ...application, migrations }, canary: { steps: [] } };
    return releaseDefinition.parse(input);
  };
  const byFiles = definitionWith({ directory: 'migrations', incompatible: { files: ['006.sql'], readOnlyWindow } });
  const of = (definition = byFiles, version = '2.0.0', kind: 'go-live' | 'release' | 'rehearsal' = 'release') =>
    readOnlyWindowOf({ definition, to: { colour: 'green', version }, kind });

  it('is as long as the definition says, by files or by a command, in production and in its rehearsal', () => {
    const byCommand = definitionWith({ expand: ['m'], incompatible: { command: ['n'], readOnlyWindow } });
    for (const definition of [byFiles, byCommand])
      for (const kind of ['release', 'rehearsal'] as const)
        expect(of(definition, '2.0.0', kind)).to.deep.equal({ longestMs: 90_000 });
  });

  it('is none at a first go-live, for another version, and where nothing is incompatible', () => {
    expect(of(byFiles, '2.0.0', 'go-live')).to.equal(undefined);
    expect(of(byFiles, '1.9.0')).to.equal(undefined);
    expect(of(definitionWith({ directory: 'migrations' }))).to.equal(undefined);
  });

  it('has a gate, which releases without a window do not have', () => {
    expect(gatesOf(byFiles)).to.include('read-only-window');
    expect(gatesOf(definitionWith({ directory: 'migrations' }))).not.to.include('read-only-window');
  });
});
