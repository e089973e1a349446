import { X509Certificate } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { createCertificates } from '../lib/certificates.ts';
import { layoutOf, place, type Handler, type Place } from './handler.ts';

/** Renewed if it expires in fewer days. */
const renewDays = 30;

interface Computed {
  /**
   * SHA-256 of the server's certificate. Resources that use the certificate take it as an input to detect a renewal.
   */
  fingerprint: string;
  /** ISO 8601. */
  validTo: string;
}

/** The environment's certificate authority, and the server certificate of its entry point and databases. */
export const certificates: Handler<z.infer<typeof place>, Computed> = {
  inputs: place,
  async create(inputs) {
    return (await look(inputs)) ?? (await make(inputs));
  },
  async read(state) {
    const found = await look(state);
    if (found === undefined) return 'absent';
    if (found.fingerprint !== state.fingerprint) return { drift: 'the certificate was replaced' };
    const days = (Date.parse(found.validTo) - Date.now()) / 86_400_000;
    return days < renewDays ? { drift: `the certificate expires in ${Math.floor(days)} days` } : 'as recorded';
  },
  update: make,
  async delete(state) {
    await rm(layoutOf(state).certificates(), { recursive: true, force: true });
  },
};

async function make(inputs: Place): Promise<Computed> {
  await createCertificates(layoutOf(inputs).certificates());
  return (await look(inputs)) as Computed;
}

/** Undefined unless both certificates exist and the authority signed the server's. */
async function look(of: Place): Promise<Computed | undefined> {
  const directory = layoutOf(of).certificates();
  try {
    const [authority, server] = await Promise.all(
      ['ca.pem', 'server.pem'].map((file) => readFile(join(directory, file))),
    );
    const certificate = new X509Certificate(server as Buffer);
    if (!certificate.verify(new X509Certificate(authority as Buffer).publicKey)) return undefined;
    return { fingerprint: certificate.fingerprint256, validTo: new Date(certificate.validTo).toISOString() };
  } catch {
    return undefined;
  }
}
