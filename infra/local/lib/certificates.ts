import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { flush, move } from '../../lib/atomic-file.ts';
import { bareEnvironment } from '../../lib/child-environment.ts';
import { toolPath } from '../../lib/tools.ts';

/** Validity in days. Browsers accept server certificates of at most 398 days. */
const serverDays = 397;
const authorityDays = 3650;

/**
 * Creates a certificate authority and one server certificate for loopback in `directory`: `ca.pem`, `server.crt`,
 * `server.key`, `server.pem`. Replaces what is there. The authority's key is deleted after it has signed, so that
 * nobody can sign with it again.
 */
export async function createCertificates(directory: string, commonName = 'localhost'): Promise<void> {
  await mkdir(dirname(directory), { recursive: true });
  const work = await mkdtemp(`${directory}.new-`);
  const openssl = (...args: string[]) =>
    execa(toolPath('openssl'), args, { ...bareEnvironment({ LC_ALL: 'C' }), cwd: work });
  try {
    await writeFile(
      join(work, 'server.ext'),
      'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n',
    );
    const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    await openssl(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-days',
      String(authorityDays),
      '-subj',
      '/CN=Greenlight local authority',
      '-addext',
      'keyUsage=critical,keyCertSign,cRLSign',
    );
    await openssl('req', ...newKey, '-keyout', 'server.key', '-out', 'server.csr', '-subj', `/CN=${commonName}`);
    await openssl(
      'x509',
      '-req',
      '-in',
      'server.csr',
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      String(serverDays),
      '-extfile',
      'server.ext',
      '-out',
      'server.crt',
    );
    const [certificate, key] = await Promise.all([
      readFile(join(work, 'server.crt')),
      readFile(join(work, 'server.key')),
    ]);
    await writeFile(join(work, 'server.pem'), Buffer.concat([certificate, key]), { mode: 0o600 });
    await chmod(join(work, 'server.key'), 0o600);
    for (const file of ['ca.key', 'ca.srl', 'server.csr', 'server.ext']) await rm(join(work, file), { force: true });
    await rm(directory, { recursive: true, force: true });
    for (const file of ['ca.pem', 'server.crt', 'server.key', 'server.pem']) await flush(join(work, file));
    await move(work, directory);
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    throw error;
  }
}
