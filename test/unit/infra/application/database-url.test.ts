import { expect } from 'chai';
import { databaseEnvironment, databaseUrl } from '../../../../infra/application/database-url.ts';

const login = (user: string) => ({ user, password: `${user}'s :/@?#%&=+ "pass" \\wörd€` });
const access = {
  host: '127.0.0.1',
  port: 5432,
  database: 'app',
  caFile: "/a b+é/it's/#1/ca.pem",
  admin: login('admin'),
  owner: login('owner'),
  app: login('app'),
};

describe('a database URL', () => {
  it('reads back as what it was made of, for each role', () => {
    for (const role of ['admin', 'owner', 'app'] as const) {
      const url = new URL(databaseUrl(access, role));
      expect(decodeURIComponent(url.username)).to.equal(role);
      expect(decodeURIComponent(url.password)).to.equal(access[role].password);
      expect([url.hostname, url.port, url.pathname]).to.deep.equal(['127.0.0.1', '5432', '/app']);
      expect(url.searchParams.get('sslrootcert')).to.equal(access.caFile);
      expect(url.searchParams.get('sslmode')).to.equal('verify-full');
    }
  });

  it('has nothing that a shell or SQL would take for a quote', () => {
    expect(databaseUrl(access, 'owner')).to.match(/^[A-Za-z0-9:/@?&=%._~-]+$/);
  });

  it('has no percent sign for an ordinary path and a generated password, which configparser would take for its own', () => {
    const ordinary = { user: 'app', password: 'aZ09-_aZ09-_' };
    const of = { ...access, caFile: '/home/me/.greenlight/environments/production/ca/ca.pem', app: ordinary };
    expect(databaseUrl(of, 'app')).to.equal(
      `postgresql://app:aZ09-_aZ09-_@127.0.0.1:5432/app?sslmode=verify-full&sslrootcert=${of.caFile}`,
    );
  });

  it('has a form for the environment of programs', () => {
    expect(databaseEnvironment(access, 'app')).to.include({
      PGUSER: 'app',
      PGPASSWORD: access.app.password,
      PGSSLMODE: 'verify-full',
    });
  });
});
