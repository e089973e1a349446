import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parseDsn } from '../../../../../automation/data/dsn/parse.ts';
import { resolve } from '../../../../../automation/data/dsn/resolve.ts';

describe('a connection string', () => {
  const cases: [dsn: string, found: Record<string, string>][] = [
    ['postgresql://', {}],
    ['postgres://h', { host: 'h' }],
    ['postgresql://u@h:5433/d', { user: 'u', host: 'h', port: '5433', dbname: 'd' }],
    ['postgresql://u:p%40%3A%2F@h/d', { user: 'u', password: 'p@:/', host: 'h', dbname: 'd' }],
    ['postgres://u:se:cret@h/d', { user: 'u', password: 'se:cret', host: 'h', dbname: 'd' }],
    ['postgresql://[::1]:5433/d', { host: '::1', port: '5433', dbname: 'd' }],
    ['postgresql://%2Fvar%2Frun/d', { host: '/var/run', dbname: 'd' }],
    ['postgresql:///d?host=/tmp&user=u&sslmode=require', { host: '/tmp', dbname: 'd', user: 'u', sslmode: 'require' }],
    ['host=h port = 5 dbname=d', { host: 'h', port: '5', dbname: 'd' }],
    [`user='a b' password='it\\'s \\\\ x' host=h`, { user: 'a b', password: `it's \\ x`, host: 'h' }],
    ['password=a\\ b host=h', { password: 'a b', host: 'h' }],
    [`password=it's host=h`, { password: `it's`, host: 'h' }],
    ['postgres://h/d?ssl=true', { host: 'h', dbname: 'd', sslmode: 'require' }],
    ['postgres://h/d?channel_binding=require', { host: 'h', dbname: 'd', channel_binding: 'require' }],
    ['shop', { dbname: 'shop' }],
    ['host=h application_name=x keepalives=1', { host: 'h' }],
  ];
  for (const [dsn, found] of cases) it(`is read: ${dsn}`, () => expect(parseDsn(dsn)).to.deep.equal(found));

  for (const dsn of [
    'postgres://u:se@cret@h/d',
    'postgres://u:12/se@cret/d',
    'postgres://u:12?secret@h/d',
    'postgres://u:%zzsecret@h/d',
    'postgres://h1,h2/d?password=secret',
    'postgres://u:secret@h1:5432,h2:5433/d',
    'postgresql+asyncpg://u:secret@h/d?ssl=require',
    'jdbc:postgresql://h/d?user=u&password=secret',
    'postgres://u:secret@h/d?schema=public',
    'postgres://u:12?sec=ret@h/d',
    'mysql://u:secret@h/d',
    'u:secret@h/d',
    'host=h password=it secret',
    `host=h password='secret`,
    'host=h secret=1',
    'host=h password=secret sslcrl=/x',
  ])
    it(`is refused without a word of it: ${dsn}`, () => {
      expect(() => parseDsn(dsn))
        .to.throw(/reading a connection string/)
        .with.property('message')
        .that.does.not.match(/cret/);
    });
});

describe('what is wrong with a connection string', () => {
  for (const [dsn, found] of [
    ['postgres://u:x@h1:5432,h2:5433/d', 'it names several hosts or ports'],
    ['host=h1,h2', 'it names several hosts or ports'],
    ['postgresql+psycopg://u:x@h/d?sslmode=require', 'it begins with none of postgresql:// and postgres://'],
    ['postgres://u:x@h/d?schema=public&sslmode=require&pgbouncer=true', 'not supported here: schema, pgbouncer'],
    ['postgres://u:x@y@h/d', 'it is no valid URI'],
  ] as const)
    it(`is said: ${dsn}`, () => expect(() => parseDsn(dsn)).to.throw(found));

  it('is said where it is in the environment, and a password in the wrong place is not shown', () => {
    expect(() => resolve({}, { PGHOST: 'a,b' })).to.throw('several hosts or ports');
    expect(() => resolve({}, { PGHOST: 'a', PGPORT: '1,2' })).to.throw('several hosts or ports');
    expect(() => resolve({ dbname: 'postgres://u:secret@h/d' }, {}))
      .to.throw('its database is a connection string itself')
      .with.property('message')
      .that.does.not.include('secret');
  });
});

describe('what a connection string leaves out', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'greenlight-dsn-'));
  });
  after(() => rm(directory, { recursive: true }));

  it('comes from the environment, the service before it, and the string before both', async () => {
    const services = join(directory, 'services');
    await writeFile(services, '# comment\n[shop]\nhost = db.example\nport=6000\n\n[other]\nport=7000\n');
    const env = { PGHOST: 'h', PGPORT: '5', PGUSER: 'u', PGPASSWORD: 'x', PGDATABASE: 'd', PGSERVICEFILE: services };
    expect(resolve({}, env)).to.include({ host: 'h', port: 5, user: 'u', password: 'x', database: 'd' });
    expect(resolve({ service: 'shop' }, env)).to.include({ host: 'db.example', port: 6000, user: 'u' });
    expect(resolve({ service: 'shop', port: '8' }, env)).to.include({ host: 'db.example', port: 8 });
    expect(() => resolve({ service: 'none' }, env)).to.throw('the service "none" is in no service file');
    expect(() => resolve({ port: 'x' }, env)).to.throw('its port is no number');
    expect(() => resolve({ sslmode: 'x' }, env)).to.throw('its sslmode is none of');
  });

  it('is the password of the first line that fits, in a file that nobody else may read', async () => {
    const passfile = join(directory, 'passwords');
    const lines = [
      '# h:5:d:u:comment',
      'h:6:d:u:port',
      'h:*:other:u:database',
      String.raw`h:*:*:a\:b:es\\ca\:ped`,
      '*:*:*:u:last',
    ];
    await writeFile(passfile, lines.join('\r\n'), { mode: 0o600 });
    const password = (user: string, port: string) =>
      resolve({ host: 'h', port, user, dbname: 'd', passfile }, {}).password;
    expect(password('u', '6')).to.equal('port');
    expect(password('u', '5')).to.equal('last');
    expect(password('a:b', '5')).to.equal(String.raw`es\ca:ped`);
    expect(password('v', '5')).to.equal(undefined);
    const open = join(directory, 'open');
    await writeFile(open, '*:*:*:*:x', { mode: 0o644 });
    expect(resolve({ passfile: open, host: 'h' }, {}).password).to.equal(undefined);
  });

  it('is how the server is known: as libpq, by the mode', async () => {
    const ca = join(directory, 'ca');
    await writeFile(ca, 'certificate');
    const tls = (sslmode: string, more = {}) => resolve({ host: 'h', sslmode, ...more }, {}).tls;
    expect(tls('prefer')).to.include({ use: 'may', verify: 'nothing' });
    expect(tls('disable')).to.include({ use: 'no' });
    expect(tls('verify-full', { sslrootcert: ca })).to.deep.include({
      use: 'must',
      verify: 'name',
      ca: 'certificate',
      name: 'h',
    });
    expect(tls('verify-full', { hostaddr: '10.0.0.1' }).name).to.equal('h');
    expect(tls('require', { sslrootcert: ca })).to.include({ use: 'must', verify: 'chain' });
    expect(tls('prefer', { host: '/tmp' })).to.include({ use: 'no' });
    expect(() => tls('verify-ca', { sslrootcert: join(directory, 'none') })).to.throw('ENOENT');
  });
});
