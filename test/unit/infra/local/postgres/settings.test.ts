import { expect } from 'chai';
import { hostBasedAuthentication, serverSettings } from '../../../../../infra/local/postgres/settings.ts';

const settings = {
  port: 5555,
  name: "it's",
  maxConnections: 40,
  data: "/a b/it's/data",
  hba: '/h',
  certificate: '/c',
  key: '/k',
};

describe('settings of a local cluster', () => {
  it('quote paths and names', () => {
    const text = serverSettings(settings);
    expect(text).to.contain("data_directory = '/a b/it''s/data'\n").and.contain("cluster_name = 'it''s'\n");
    expect(text).to.contain('port = 5555\n').and.contain('max_connections = 50\n');
  });

  it('never switch durability off', () => {
    expect(serverSettings(settings)).to.not.match(/fsync|full_page_writes|synchronous_commit/);
  });

  it('let nobody in without TLS and a password', () => {
    const rules = hostBasedAuthentication.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    expect(rules).to.have.lengthOf(2);
    for (const rule of rules) expect(rule).to.match(/^hostssl .* 127\.0\.0\.1\/32 +scram-sha-256$/);
  });
});
