import { expect } from 'chai';
import type { EnvironmentSpec } from '../../../../../infra/model.ts';
import { Layout } from '../../../../../infra/local/lib/layout.ts';
import { guardsOf } from '../../../../../infra/local/stacks/guards.ts';

const spec: EnvironmentSpec = {
  application: 'shop',
  environment: 'production',
  services: [],
  workers: [
    {
      name: 'mailer',
      start: ['node', 'w.js'],
      instances: 2,
      database: true,
      env: { NODE_OPTIONS: '-r x' },
      stopSeconds: 7,
    },
  ],
  schedules: [
    {
      name: 'nightly',
      cron: '0 3 * * *',
      timeZone: 'UTC',
      command: ['node', 'r.js'],
      database: false,
      env: { DIR: '${files.uploads}' },
      stopSeconds: 30,
      timeoutSeconds: 60,
    },
  ],
  files: [{ name: 'uploads', env: 'UPLOADS', maxMegabytes: 1 }],
  integrations: [],
  writes: { reads: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], paths: [] },
  database: { maxConnections: 20 },
  slo: { errorRate: 0, p95Ms: 1 },
  alertReceivers: [],
};

describe('the guards of a version', () => {
  const ports = { https: 1, database: { blue: 2, green: 3 }, integrations: {} } as never;
  const artefact = { version: '1.0.0', digest: 'sha256:1', location: '/artefact' };
  const layout = new Layout('production', '/env');
  const guards = guardsOf({ layout, spec, ports, colour: { colour: 'green' }, artefact });

  it('are one for each instance of a worker, and one for a schedule', () => {
    expect(guards.map(({ name }) => name)).to.deep.equal(['mailer.green.1', 'mailer.green.2', 'nightly.green.1']);
  });

  it('give their variables to the command alone, which listens nowhere', () => {
    const [mailer] = guards;
    expect(mailer!.env).to.have.property('COMMAND_NODE_OPTIONS', '-r x');
    expect(mailer!.env).to.include({ COMMAND_GREENLIGHT_COLOUR: 'green', COMMAND_UPLOADS: '/env/files/uploads' });
    expect(mailer!.env['COMMAND_DATABASE_URL']).to.contain('secret~green-app~');
    expect(mailer!.env).not.to.have.any.keys('NODE_OPTIONS', 'DATABASE_URL', 'COMMAND_PORT', 'COMMAND_HOST');
    expect(guards[2]!.env).to.include({ COMMAND_DIR: '/env/files/uploads' });
    expect(guards[2]!.env).not.to.have.any.keys('COMMAND_DATABASE_URL');
  });

  it('have more time to stop than they give their command, and no secret in their arguments', () => {
    expect(guards.map(({ stopSeconds }) => stopSeconds)).to.deep.equal([12, 12, 35]);
    expect(guards.flatMap(({ argv }) => argv).join(' ')).not.to.contain('secret~');
  });
});
