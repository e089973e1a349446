import { expect } from 'chai';
import { checkRelease } from '../../../../../automation/config/load.ts';
import type { ReleaseContext } from '../../../../../automation/release/context/context.ts';
import { environmentSpec } from '../../../../../automation/release/context/spec.ts';
import { qualification, qualificationGates } from '../../../../../automation/release/steps/qualification.ts';
import { validDefinition } from '../../../../lib/valid-definition.ts';

describe('the gates of staging', () => {
  const valid = validDefinition();
  const authentication = { protectedPaths: ['/account'], loginPath: '/login', loginBody: { user: 'a', password: 'b' } };
  for (const [title, security] of [
    ['without a log-in', valid.security],
    ['with a log-in', { ...valid.security, authentication }],
  ] as const) {
    it(`are planned as they are judged, ${title}`, async () => {
      const definition = checkRelease('shop.config.ts', { ...valid, security }, () => []);
      const context = {
        definition,
        platform: {},
        connect: () => Promise.resolve({ router: { entry: { baseUrl: 'https://localhost' } } }),
        spec: (environment: 'staging' | 'production') => environmentSpec(definition, environment),
      } as unknown as ReleaseContext;
      const judged = await qualification(context, 'staging', { version: '2.0.0', digest: '', location: '' });
      expect(Object.keys(qualificationGates(definition))).to.deep.equal(judged.map(({ id }) => id));
    });
  }
});
