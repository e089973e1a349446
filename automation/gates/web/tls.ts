import { readFile } from 'node:fs/promises';
import tls from 'node:tls';
import type { EntryPoint } from '../../../infra/platform/router.ts';
import { check, type Gate, type Measurement } from '../../journal/verdict.ts';
import { clientOf } from './http-client.ts';

export interface TlsGate {
  entry: EntryPoint;
  /** Plain HTTP address that must redirect to HTTPS; undefined: there is none. */
  httpUrl?: string | undefined;
  now?: () => Date;
}

/** A certificate this near to its end fails: renewal has gone wrong, as it is due long before. */
const leastDays = 14;
const dayMs = 86_400_000;
const handshakeMs = 5000;

/** The entry point's encryption, as a client meets it: certificate, versions, redirect. */
export function tlsGate({ entry, httpUrl, now = () => new Date() }: TlsGate): Gate {
  return {
    id: 'tls',
    title: 'Encryption in transit',
    async measure({ evidence }) {
      const url = new URL(entry.baseUrl);
      if (url.protocol !== 'https:') {
        return {
          measurements: [
            check('protocol', 'https', url.protocol.slice(0, -1), false, 'The entry point is not encrypted.'),
          ],
        };
      }
      const ca = entry.caFile === undefined ? undefined : await readFile(entry.caFile);
      // Said, as a variable of the shell (NODE_TLS_REJECT_UNAUTHORIZED) sets what is not.
      const modern = await handshake(url, { ca, minVersion: 'TLSv1.2', rejectUnauthorized: true });
      const old: [string, Handshake][] = [];
      for (const version of ['TLSv1', 'TLSv1.1'] as const) {
        // Level 0, as the client itself would refuse such a version otherwise, whatever the server does.
        const options = {
          ca,
          minVersion: version,
          maxVersion: version,
          ciphers: 'DEFAULT@SECLEVEL=0',
          rejectUnauthorized: false,
        };
        old.push([version, await handshake(url, options)]);
      }
      const measurements = [
        ...judgeCertificate(modern, now()),
        ...old.map(([version, answer]) => judgeOldVersion(version, answer)),
      ];
      if (httpUrl !== undefined) measurements.push(judgeRedirect(await redirectOf(httpUrl), url.hostname));
      await evidence.write('tls.json', JSON.stringify({ modern, old: Object.fromEntries(old) }, undefined, 2));
      return { measurements };
    },
  };
}

/** What came of one TLS handshake: either a version, or why not. */
export interface Handshake {
  version?: string | undefined;
  /** End of the certificate, as OpenSSL writes it: `Nov 21 12:00:00 2027 GMT`. */
  validTo?: string | undefined;
  subject?: string | undefined;
  /** OpenSSL's or the system's code, e.g. `CERT_HAS_EXPIRED`. */
  code?: string;
  message?: string;
}

async function handshake(url: URL, options: tls.ConnectionOptions): Promise<Handshake> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const name = /^[\d.]+$|:/.test(host) ? {} : { servername: host };
  const { promise, resolve } = Promise.withResolvers<Handshake>();
  const failed = (error: NodeJS.ErrnoException) => resolve({ code: error.code ?? 'unknown', message: error.message });
  let socket: tls.TLSSocket;
  try {
    socket = tls.connect({ host, port: Number(url.port || 443), ...name, ...options });
  } catch (error) {
    failed(error as NodeJS.ErrnoException);
    return promise;
  }
  socket.setTimeout(handshakeMs, () => socket.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })));
  socket.once('error', failed);
  socket.once('secureConnect', () => {
    const { valid_to, subject } = socket.getPeerCertificate();
    const common = subject?.CN;
    resolve({
      version: socket.getProtocol() ?? undefined,
      validTo: valid_to,
      subject: Array.isArray(common) ? common[0] : common,
    });
  });
  return promise.finally(() => socket.destroy());
}

/** Errors of a connection that never came to TLS: they say nothing about the certificate. */
const unreachable = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENOTFOUND', 'ETIMEDOUT', 'EAI_AGAIN']);

/** Judges the handshake of an ordinary client: chain and host name by OpenSSL's own verification, and the days left. */
export function judgeCertificate(modern: Handshake, now: Date): Measurement[] {
  const wanted = 'chain and host name verified, TLS 1.2 or newer';
  if (modern.code !== undefined) {
    const verdict = unreachable.has(modern.code) ? 'error' : 'fail';
    return [{ name: 'certificate', measured: modern.code, wanted, verdict, note: `${modern.message}.` }];
  }
  const days = Math.floor((Date.parse(modern.validTo ?? '') - now.getTime()) / dayMs);
  return [
    check(
      'certificate',
      wanted,
      `verified, ${modern.version}`,
      modern.version === 'TLSv1.2' || modern.version === 'TLSv1.3',
    ),
    Number.isNaN(days)
      ? { name: 'certificate ends', measured: 'unknown', wanted: `>= ${leastDays} days`, verdict: 'inconclusive' }
      : check(
          'certificate ends',
          `>= ${leastDays} days`,
          `in ${days} days`,
          days >= leastDays,
          'Renew the certificate.',
        ),
  ];
}

/** Judges the offer of an outdated version, which RFC 8996 forbids. Only a refusal by the server is a pass. */
export function judgeOldVersion(version: string, answer: Handshake): Measurement {
  const name = `${version.replace('TLSv1', 'TLS 1').replace(/ 1$/, ' 1.0')} offered`;
  if (answer.code === undefined)
    return check(name, 'refused', 'accepted', false, 'Set the minimum version of the entry point to TLS 1.2.');
  const refused = /ALERT|ECONNRESET|EPIPE|WRONG_VERSION|UNSUPPORTED_PROTOCOL/.test(answer.code);
  if (refused) return check(name, 'refused', `refused (${answer.code})`, true);
  return {
    name,
    measured: answer.code,
    wanted: 'refused',
    verdict: 'inconclusive',
    note: `The server could not be asked: ${answer.message}.`,
  };
}

/** Status and location of a plain HTTP answer. */
interface Redirect {
  status: number;
  location: string | undefined;
}

async function redirectOf(httpUrl: string): Promise<Redirect> {
  const ask = await clientOf({ baseUrl: httpUrl });
  const { status, headers } = await ask(httpUrl);
  return { status, location: [headers['location']].flat()[0] };
}

/** Plain HTTP must lead to the same host by HTTPS, for good (301, 308) or for now (302, 307). */
export function judgeRedirect({ status, location }: Redirect, hostname: string): Measurement {
  const target = location !== undefined && URL.canParse(location) ? new URL(location) : undefined;
  const ok = [301, 302, 307, 308].includes(status) && target?.protocol === 'https:' && target.hostname === hostname;
  return check('plain HTTP', `redirect to https://${hostname}`, `${status} ${location ?? ''}`.trim(), ok);
}
