import { colours, timeoutsOf, type Colour, type EnvironmentSpec, type ServiceSpec } from '../../model.ts';
import type { Ports } from '../lib/layout.ts';
import { quote } from './quote.ts';

/**
 * Kinds of requests, as HAProxy counts them apart. `read`, `write`: they end with their answer. `tunnel`: a connection that is upgraded, such
 * as a WebSocket. `stream`: a read that asks for an event stream.
 */
export const requestKinds = ['read', 'write', 'tunnel', 'stream'] as const;
export type RequestKind = (typeof requestKinds)[number];
/** The kinds that may last as long as somebody keeps them open. */
export const isLong = (kind: RequestKind): kind is 'tunnel' | 'stream' => kind === 'tunnel' || kind === 'stream';

/** HAProxy's name of the backend for a service, colour and kind. */
export const backendName = (service: string, colour: Colour, kind: RequestKind): string =>
  `${service}.${colour}.${kind}`;

/** HAProxy's name of an instance. Instances count from 1. */
export const serverName = (service: string, colour: Colour, instance: number): string =>
  `${service}.${colour}.${instance}`;

export const renderBackends = (spec: EnvironmentSpec, ports: Ports): string[] =>
  spec.services.flatMap((service) =>
    colours.map((colour) => backendsOf(service, colour, ports.instances[colour][service.name] ?? [])),
  );

/**
 * A backend per kind over the same servers, so that each kind can be counted and ended alone. The others use the health checks of the first. A
 * read is retried if its instance dies without a response. A write and a tunnel are retried only if the connection failed. They never use
 * a kept-alive connection, because the instance might be closing it at that moment.
 */
function backendsOf(service: ServiceSpec, colour: Colour, ports: number[]): string {
  const { answerSeconds, quietSeconds } = timeoutsOf(service);
  const read = backendName(service.name, colour, 'read');
  const proto = service.protocol === 'h2c' ? ' proto h2' : '';
  const cookie = service.sticky === true ? stickyCookie(service.name, colour) : '';
  // Of HAProxy's own pages the one that a developer needs: which setting it was.
  const lateText = `The application did not answer within ${answerSeconds} s (timeouts.answerSeconds of the service ${service.name}).`;
  const late = `  http-error status 504 content-type text/plain string ${quote(lateText)} hdr cache-control no-store\n`;
  const servers = (options: (name: string) => string): string =>
    ports
      .map((port, index) => {
        const name = serverName(service.name, colour, index + 1);
        const sticky = service.sticky === true ? ` cookie ${index + 1}` : '';
        return `  server ${name} 127.0.0.1:${port}${proto}${sticky} ${options(name)}\n`;
      })
      .join('');
  // A connection of HTTP/2 would be shared with other requests, however it is asked to close.
  const alone = `  option http-server-close\n${service.protocol === 'h2c' ? '  http-reuse never\n' : ''}`;
  const followers = servers((name) => `track ${read}/${name}`);
  const other = (kind: RequestKind, seconds: number, rules: string): string =>
    `backend ${backendName(service.name, colour, kind)}
  balance roundrobin
${rules}${cookie}${late}  timeout server ${seconds}s
${followers}`;
  return [
    `backend ${read}
  balance roundrobin
  retry-on conn-failure empty-response
  http-request disable-l7-retry unless { method GET HEAD OPTIONS }
${cookie}${late}  timeout server ${answerSeconds}s
  option httpchk
  http-check send meth GET uri ${quote(service.health)} ver HTTP/1.1 hdr host localhost
  http-check expect status 200
  default-server inter 500ms fastinter 100ms downinter 500ms fall 2 rise 1
${servers(() => 'check')}`,
    other('write', answerSeconds, `${alone}  retry-on conn-failure\n`),
    // The answer to an upgrade is one. From then on the time-out of the tunnel is in force.
    other(
      'tunnel',
      answerSeconds,
      `${alone}  retry-on conn-failure
  timeout tunnel ${quietSeconds}s
  http-request set-timeout server ${quietSeconds}s unless { req.hdr(upgrade) -m found }
`,
    ),
    other('stream', quietSeconds, `${alone}  retry-on conn-failure empty-response\n`),
  ].join('');
}

/** One for all kinds of a colour: a client's reads and writes go to the same instance. HAProxy makes such an answer private. */
const stickyCookie = (service: string, colour: Colour): string =>
  `  cookie greenlight_at_${service}_${colour} insert indirect nocache httponly secure attr SameSite=Lax\n`;
