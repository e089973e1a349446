import { expect } from 'chai';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { filesIn } from '../../../../../infra/local/runtime/container-job.ts';

describe('the files that a job in a container can read', () => {
  let home: string;
  before(() => {
    home = mkdtempSync(join(tmpdir(), 'greenlight files-'));
    mkdirSync(join(home, 'ca'));
    writeFileSync(join(home, 'ca', 'ca.pem'), '');
  });
  after(() => rmSync(home, { recursive: true }));

  it('are those of Greenlight that its variables name, once each', () => {
    const ca = join(home, 'ca', 'ca.pem');
    const url = `postgresql://app:p%40ss@127.0.0.1:5432/app?sslmode=verify-full&sslrootcert=${encodeURIComponent(ca)}`;
    expect(filesIn({ DATABASE_URL: url, NODE_EXTRA_CA_CERTS: ca, OTHER: 'a=%zz' }, home)).to.eql([ca]);
  });

  it('are no directories, and nothing else of this machine', () => {
    expect(filesIn({ A: join(home, 'ca'), B: '/etc/passwd', C: `x=/etc/shadow`, D: `${home}-other` }, home)).to.eql([]);
  });
});
