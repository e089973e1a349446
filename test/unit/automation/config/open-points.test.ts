import { expect } from 'chai';
import { ConfigError, checkRelease } from '../../../../automation/config/load.ts';
import { openPoints } from '../../../../automation/config/open-points.ts';
import { validDefinition } from '../../../lib/valid-definition.ts';

describe('values that are still to be written', () => {
  it('are found anywhere, with the path and the sentence in their place', () => {
    const input = { a: 'TODO: name the program', b: [{ c: 'TODO' }], d: 'a TODO list', e: 'TODOS' };
    expect(openPoints(input)).to.deep.equal([
      { path: 'a', message: 'is still to be written: name the program', value: 'TODO: name the program' },
      { path: 'b[0].c', message: 'is still to be written: it says TODO', value: 'TODO' },
    ]);
  });

  it('are refused by the validator, once each, beside all other problems', () => {
    const valid = validDefinition();
    const broken = { ...valid, application: { ...valid.application, name: 'TODO: give it a name', version: 'x' } };
    try {
      checkRelease('greenlight.config.ts', broken, () => []);
      expect.fail('it was accepted');
    } catch (error) {
      expect(error).to.be.instanceOf(ConfigError);
      const { problems } = error as ConfigError;
      expect(problems.map(({ path }) => path)).to.deep.equal(['application.name', 'application.version']);
      expect(problems[0]?.message).to.equal('is still to be written: give it a name');
    }
  });

  it('are refused where the schema would take them', () => {
    const valid = validDefinition();
    const [service] = valid.application.services;
    const services = [{ ...service, start: ['TODO: write the program'] }];
    expect(() => checkRelease('a', { ...valid, application: { ...valid.application, services } }, () => [])).to.throw(
      'application.services[0].start[0]: is still to be written: write the program',
    );
  });
});
