import { colours, other, type EnvironmentSpec } from '../../model.ts';
import { refusedHeader, refusedRetrySeconds, wroteSeconds } from '../../platform/router.ts';
import { accessLogFormat } from './access-log.ts';
import type { Ports } from '../lib/layout.ts';
import type { RequestKind } from './backends.ts';
import { quote } from './quote.ts';
import { trafficMap } from './traffic-map.ts';

export interface FrontendInputs {
  spec: EnvironmentSpec;
  ports: Ports;
  /** Certificate and key, PEM. */
  certificate: string;
  /** File with the secret of the header route, one line. */
  secretFile: string;
  /** Unix socket between the TLS frontend and the frontend with the routing rules. */
  innerSocket: string;
}

/** HAProxy's table of the writes that are not answered yet. */
export const writesTable = 'writes';

/**
 * The routing rules of the entry point, in the order in which HAProxy applies them to a request. Decisions are stored
 * in transaction variables, which the access log and the response headers use.
 *
 * TLS ends in a separate frontend, which passes each request on through a new connection. On a kept-alive connection,
 * HAProxy reports a server failure by closing the client's connection, without a response and without a log line, so
 * that the client repeats the request. A failed write would then be invisible and could be executed twice.
 */
export function renderFrontend({ spec, ports, certificate, secretFile, innerSocket }: FrontendInputs): string {
  // An answer of gRPC that is trailers alone survives no hop of HTTP/1.
  const proto = spec.services.some(({ protocol }) => protocol === 'h2c') ? ' proto h2' : '';
  return `frontend tls
  bind 127.0.0.1:${ports.https} ssl crt "${certificate}" alpn h2,http/1.1
  no log
${bodies(spec)}  default_backend entry

backend entry
  option http-server-close
  http-reuse never
  server entry "unix@${innerSocket}" send-proxy-v2${proto}

frontend entry
  bind "unix@${innerSocket}" mode 600 accept-proxy${proto}
  log-format "${accessLogFormat}"

${limits(spec)}
  # The header route. Both headers are always removed.
  http-request set-var(txn.colour) req.fhdr(x-greenlight-colour) if { req.fhdr(x-greenlight-secret) -m str -f "${secretFile}" } { req.fhdr(x-greenlight-colour) -m str ${colours.join(' ')} }
  http-request set-var(txn.by) str(header) if { var(txn.colour) -m found }
  http-request del-header x-greenlight-secret
  http-request del-header x-greenlight-colour

  http-request set-header x-forwarded-for %[src]
  http-request set-header x-forwarded-proto https
  http-request set-header x-forwarded-host %[req.hdr(host)]
  http-request del-header x-forwarded-port
  http-request del-header forwarded
  http-request set-var(txn.synthetic) str(synthetic) if { req.hdr(x-greenlight-synthetic) -m found }

  # Sets service and kind.
${routes(spec)}
  http-request return status 404 content-type text/plain string "Not found" unless { var(txn.service) -m found }
${kinds(spec)}
  # The split is read after the hold, so that a held write goes to the colour that is live when it is released.
  http-request set-var(txn.held) str(held) if { var(txn.kind) -m str write tunnel } !{ var(txn.by) -m found } !{ str(hold),map(${trafficMap}) 0 }
  http-request lua.hold if { var(txn.held) -m found }
  http-request return status 408 if { var(txn.held) -m found }
  # After the hold, so that a held write is refused too where a refusal took the place of the hold.
  http-request set-var(txn.now) date(0,ms) if { var(txn.kind) -m str write tunnel } !{ var(txn.by) -m found } !{ str(refuse),map(${trafficMap},0) 0 }
  http-request return status 503 content-type text/html file read-only.html hdr cache-control no-store hdr retry-after ${refusedRetrySeconds} hdr ${refusedHeader} refused if { var(txn.now) -m found } { str(refuse),map(${trafficMap},0),sub(txn.now) gt 0 }
  http-request set-var(txn.split) str(split),map(${trafficMap})
  http-request set-var(txn.live) var(txn.split),field(1,:)
  http-request set-var(txn.percent) var(txn.split),field(2,:),add(0)
  http-request return status 503 content-type text/html file not-live.html hdr cache-control no-store hdr retry-after 10 if !{ var(txn.by) -m found } !{ var(txn.live) -m str ${colours.join(' ')} }

  # A client keeps its slot, so that it stays on the canary while the percentage grows.
  http-request set-var(txn.slot) req.cook(greenlight_slot),add(0) if { req.cook(greenlight_slot) -m reg ^[0-9]{1,2}$ }
  http-request set-var(txn.newslot) rand(100) if { var(txn.percent) -m int 1:99 } !{ var(txn.by) -m found } !{ var(txn.slot) -m found }
  http-request set-var(txn.slot) var(txn.newslot) if { var(txn.newslot) -m found }
  http-request set-var(txn.slot) int(0) unless { var(txn.slot) -m found }

  # Sets the colour.
  http-request set-var(txn.by) str(wrote) if !{ var(txn.by) -m found } { var(txn.kind) -m str read stream } { req.cook(greenlight_wrote) -m found }
${anew(spec)}  http-request set-var(txn.by) str(split) if !{ var(txn.by) -m found }
  http-request set-var(txn.colour) var(txn.live) unless { var(txn.by) -m str header }
${canary(spec)}
  # Names the writes that are not answered yet. The number is that of the stream in "show sess": it tells equal requests apart.
  http-request set-var-fmt(txn.request) "%[var(txn.colour)]|%[date(0,ms)]|%rt|%[var(txn.service)]|%[method]|%[path]" if { var(txn.kind) -m str write }
  http-request track-sc0 var(txn.request) table ${writesTable} if { var(txn.request) -m found }
${cookies}
  http-after-response del-header x-greenlight-colour
  http-after-response set-header x-greenlight-colour %[var(txn.colour)] if { var(txn.colour) -m found }
  use_backend %[var(txn.service)].%[var(txn.colour)].%[var(txn.kind)]

# An entry stays while its request is under way, and for some seconds after it.
backend ${writesTable}
  stick-table type string len 256 size 10k expire 5s store conn_cur

frontend plain
  bind 127.0.0.1:${ports.http}
  no log
  http-request redirect code 308 location https://%[req.hdr(host),host_only]:${ports.https}%[capture.req.uri]

frontend metrics
  bind 127.0.0.1:${ports.balancerMetrics}
  no log
  http-request use-service prometheus-exporter if { path /metrics }
  http-request return status 404
`;
}

/** Longest prefix first: the first match sets the service. */
function routes(spec: EnvironmentSpec): string {
  return spec.services
    .flatMap((service) => service.routes.map((prefix) => ({ prefix, name: service.name })))
    .sort((a, b) => b.prefix.length - a.prefix.length)
    .map(({ prefix, name }) => {
      return `  http-request set-var(txn.service) str(${name}) if !{ var(txn.service) -m found } { path -m beg -- ${quote(prefix)} }\n`;
    })
    .join('');
}

/** So many requests at once are no crowd, whatever this machine allows: only with more of them `hold.lua` is asked. */
export const neverCrowded = 1_000;

/** Of an earlier version's stack, which names none. */
export const headerKilobytes = ({ http }: EnvironmentSpec): number => http?.headerKilobytes ?? 16;

/** Names the setting, as the one who reads the answer is a developer. */
const refuse = (status: number, text: string, condition: string): string =>
  `  http-request return status ${status} content-type text/plain string "${text}" hdr cache-control no-store if ${condition}\n`;

/** What is refused before anything else is looked at. */
function limits(spec: EnvironmentSpec): string {
  const head = headerKilobytes(spec) * 1024;
  return [
    `  # Too many at once. A client that is not answered at all would not know.\n`,
    `  http-request return status 503 content-type text/html file unavailable.html hdr cache-control no-store hdr retry-after 5 if { fe_conn gt ${neverCrowded} } { lua.crowded -m bool }\n`,
    refuse(
      431,
      `The head of the request is larger than ${headerKilobytes(spec)} KiB (application.http.headerKilobytes).`,
      `{ req.hdrs,length gt ${head} } || { url,length gt ${head} }`,
    ),
  ].join('');
}

/** In the frontend that has the client's connection: the answer reaches a client that is still sending. */
function bodies({ http }: EnvironmentSpec): string {
  const most = http?.bodyMegabytes;
  if (most === undefined) return '';
  const setting = '(application.http.bodyMegabytes).';
  return [
    refuse(
      413,
      `The body of the request is larger than ${most} MiB ${setting}`,
      `{ req.hdr_val(content-length) gt ${most * 1024 * 1024} }`,
    ),
    refuse(
      411,
      `The body of the request has to have a Content-Length ${setting}`,
      '{ req.hdr(transfer-encoding) -m found }',
    ),
  ].join('');
}

/** Sets the kind (`requestKinds`). A tunnel goes where writes go. A read that asks for an event stream goes where reads go. */
function kinds({ writes: { reads, paths, withoutCookie = [] }, http }: EnvironmentSpec): string {
  const below = (prefixes: string[]) => `{ path -m beg -- ${prefixes.map(quote).join(' ')} }`;
  const set = (kind: RequestKind, rule: string) => `  http-request set-var(txn.kind) str(${kind}) ${rule}\n`;
  const is = (kind: RequestKind) => `{ var(txn.kind) -m str ${kind} }`;
  const streams = http?.streams ?? [];
  return [
    set('read', ''),
    set('write', `unless { method ${reads.map(quote).join(' ')} }`),
    ...(paths.length === 0 ? [] : [set('write', `if ${below(paths)}`)]),
    ...(withoutCookie.length === 0 ? [] : [set('write', `if ${withoutCookie.map(lacks).join(' ')}`)]),
    set('tunnel', 'if { req.hdr(upgrade) -m found } { method GET } !{ req.hdr(upgrade) -i -m beg h2c }'),
    ...(streams.length === 0 ? [] : [set('tunnel', `if ${is('write')} ${below(streams)}`)]),
    set('stream', `if ${is('read')} { req.hdr(accept) -i -m beg text/event-stream }`),
    ...(streams.length === 0 ? [] : [set('stream', `if ${is('read')} ${below(streams)}`)]),
  ].join('');
}

const lacks = (cookie: string): string => `!{ req.cook(${cookie}) -m found }`;

/** Marks what is a write only because it has no session cookie, so that it can be counted. After the hold, which asks for who has decided. */
function anew({ writes: { reads, paths, withoutCookie = [] } }: EnvironmentSpec): string {
  if (withoutCookie.length === 0) return '';
  const other = paths.length === 0 ? '' : ` !{ path -m beg -- ${paths.map(quote).join(' ')} }`;
  return `  http-request set-var(txn.by) str(anew) if !{ var(txn.by) -m found } { var(txn.kind) -m str write } { method ${reads.map(quote).join(' ')} }${other} ${withoutCookie.map(lacks).join(' ')}\n`;
}

/**
 * The cookies. A client gets a slot while there is a canary, and a mark with the answer to a write. A shared cache must not give one client's
 * cookie to others (RFC 9111, section 3). So an answer that a shared cache may keep gets no slot: one that allows it, and one with a date of change,
 * such as a file. An answer that says nothing becomes private with its slot. The answer to a write becomes private with its mark, where it could be kept.
 */
const cookies = `  acl private res.hdr(cache-control) -i -m beg private no-store
  acl shared res.hdr(cache-control) -i -m reg ${quote('^(public|s-maxage|max-age="?0*[1-9])')}
  acl shared res.fhdr(expires) -m found
  acl shared res.fhdr(last-modified) -m found
  acl slot var(txn.newslot) -m found
  acl wrote var(txn.kind) -m str write
  acl by_header var(txn.by) -m str header
  http-response add-header cache-control private if wrote !by_header !private shared
  http-response add-header cache-control private if wrote !by_header !private { method GET HEAD }
  http-response add-header set-cookie "greenlight_wrote=1; Max-Age=${wroteSeconds}; Path=/; HttpOnly; Secure; SameSite=Lax" if wrote !by_header
  http-after-response unset-var(txn.newslot) if slot !private shared
  http-after-response add-header cache-control private if slot !private
  http-after-response add-header set-cookie "greenlight_slot=%[var(txn.newslot)]; Path=/; HttpOnly; Secure; SameSite=Lax" if slot
`;

/** Reads whose slot is below the percent go to the other colour if it has a healthy server for the service. */
function canary(spec: EnvironmentSpec): string {
  const moved =
    '{ var(txn.by) -m str split } { var(txn.kind) -m str read stream } { var(txn.slot),sub(txn.percent) lt 0 }';
  return spec.services
    .flatMap((service) =>
      colours.map((live) => {
        const canaryColour = other(live);
        return `  http-request set-var(txn.colour) str(${canaryColour}) if ${moved} { var(txn.live) -m str ${live} } { var(txn.service) -m str ${service.name} } { nbsrv(${service.name}.${canaryColour}.read) gt 0 }\n`;
      }),
    )
    .join('');
}
