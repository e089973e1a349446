import { expect } from 'chai';
import {
  awsVariables,
  bareEnvironment,
  callersEnvironment,
  childEnvironment,
  proxySettings,
  setAside,
  withoutTheShell,
} from '../../../../infra/lib/child-environment.ts';

describe('the environment of a child process', () => {
  const before = { ...process.env };
  beforeEach(() => {
    process.env = {
      PATH: '/bin',
      HOME: '/home/x',
      LC_ALL: 'C',
      TZ: 'UTC',
      K6_VUS: '1',
      PGHOST: 'elsewhere',
      NODE_OPTIONS: '--require evil',
      HTTP_PROXY: 'http://127.0.0.1:9',
      NO_PROXY: 'x',
      AWS_PROFILE: 'p',
      PULUMI_OPTION_PARALLEL: '1',
    };
  });
  afterEach(() => {
    process.env = { ...before };
  });

  it('is a list, and what the program is given', () => {
    const { env, extendEnv } = childEnvironment({ RATE: '5', LEFT_OUT: undefined, TZ: 'CET' });
    expect(env).to.deep.equal({ PATH: '/bin', HOME: '/home/x', LC_ALL: 'C', TZ: 'CET', RATE: '5' });
    expect(extendEnv).to.equal(false);
    expect(bareEnvironment().env).to.deep.equal({ PATH: '/bin' });
    expect(childEnvironment({}, awsVariables).env).to.include({ AWS_PROFILE: 'p' }).and.not.have.property('PGHOST');
  });

  it("is the caller's own for the application's build alone", () => {
    expect(callersEnvironment({ GREENLIGHT_VERSION: '1' }).env).to.include({ PGHOST: 'elsewhere' });
  });

  it('keeps what the libraries of this program would read for the build alone', () => {
    setAside('PG');
    expect(process.env).not.to.have.property('PGHOST');
    expect(callersEnvironment().env).to.include({ PGHOST: 'elsewhere' });
  });

  it('takes away what a library would add from the shell', () => {
    const changed = withoutTheShell(childEnvironment({ PULUMI_SKIP_UPDATE_CHECK: 'true' }));
    const seen = JSON.parse(JSON.stringify({ ...process.env, ...changed })) as Record<string, string>;
    expect(Object.keys(seen).sort()).to.deep.equal(['HOME', 'LC_ALL', 'PATH', 'PULUMI_SKIP_UPDATE_CHECK', 'TZ']);
  });

  it('never sends what is for this machine through a proxy', () => {
    expect(proxySettings()).to.deep.equal({
      HTTP_PROXY: 'http://127.0.0.1:9',
      NO_PROXY: 'x,localhost,127.0.0.1,::1',
      no_proxy: 'x,localhost,127.0.0.1,::1',
    });
    delete process.env['HTTP_PROXY'];
    expect(proxySettings()).to.deep.equal({});
  });
});
