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

/** Days. A certificate that ends sooner fails: it should have been renewed long before. */
const leastDays = 14;
const dayMs = 86_400_000;
const handshakeMs = 5000;

/** Judges the TLS of the entry point: certificate, protocol versions, and the redirect from plain HTTP. */
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
      // `rejectUnauthorized` is explicit, because NODE_TLS_REJECT_UNAUTHORIZED of the shell changes its default.
      const modern = await handshake(url, { ca, minVersion: 'TLSv1.2', rejectUnauthorized: true });
      const old: [string, Handshake][] = [];
      for (const version of ['TLSv1', 'TLSv1.1'] as const) {
        // Security level 0: at a higher level the client itself would refuse these versions.
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

/** Result of one TLS handshake: the protocol version, or the error. */
export interface Handshake {
  version?: string | undefined;
  /** End of the certificate's validity in OpenSSL's format: `Nov 21 12:00:00 2027 GMT`. */
  validTo?: string | undefined;
  subject?: string | undefined;
  /** Error code of OpenSSL or of the system, such as `CERT_HAS_EXPIRED`. */
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

/** Errors before the TLS handshake. They say nothing about the certificate. */
const unreachable = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENOTFOUND', 'ETIMEDOUT', 'EAI_AGAIN']);

/** Judges the handshake of an ordinary client: chain and host name (verified by OpenSSL), and the days left. */
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

/** Judges a handshake with an outdated version, which RFC 8996 forbids. Passes only if the server refused it. */
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

/** Plain HTTP must redirect to the same host by HTTPS, permanently (301, 308) or temporarily (302, 307). */
export function judgeRedirect({ status, location }: Redirect, hostname: string): Measurement {
  const target = location !== undefined && URL.canParse(location) ? new URL(location) : undefined;
  const ok = [301, 302, 307, 308].includes(status) && target?.protocol === 'https:' && target.hostname === hostname;
  return check('plain HTTP', `redirect to https://${hostname}`, `${status} ${location ?? ''}`.trim(), ok);
}
