import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { longestTimeout, type EnvironmentSpec, type Split } from '../../model.ts';
import { toolPath } from '../../lib/tools.ts';
import type { Layout, Ports } from '../lib/layout.ts';
import { socketPath } from '../lib/socket-path.ts';
import { renderBackends } from './backends.ts';
import { headerKilobytes, renderFrontend } from './frontend.ts';
import { renderTrafficMap, trafficMap } from './traffic-map.ts';

/** Inputs of the balancer's configuration. HAProxy itself reads the route secret from its file. */
export interface BalancerInputs {
  spec: EnvironmentSpec;
  layout: Layout;
  ports: Ports;
  /** Initial split in the traffic map. Absent: no colour is live yet. */
  split?: Split;
}

/** Seconds after a reload or stop (SIGUSR1) until requests in flight are cut off. */
export const balancerStopSeconds = 30;

/** Unix socket of HAProxy's runtime API. Call `prepareSocketDirectory` before HAProxy starts. */
export const balancerSocket = (layout: Layout): string => socketPath(layout.balancer(), 'runtime.sock');

/** Unix socket of HAProxy's master process, in the same directory. */
export const masterSocket = (layout: Layout): string => socketPath(layout.balancer(), 'master.sock');

/**
 * Files of the balancer's directory by name, to be written with mode 0600. `traffic.map` must be written only if it is
 * missing, because the router changes it later.
 */
export function renderBalancer(inputs: BalancerInputs): Record<string, string> {
  return {
    'haproxy.cfg': renderConfiguration(inputs),
    'hold.lua': readFileSync(join(import.meta.dirname, 'hold.lua'), 'utf8'),
    'unavailable.html': page('Not available', 'The service is not available at the moment. Please try again shortly.'),
    'not-live.html': page('Not live yet', 'This application is not live yet.'),
    'read-only.html': page(
      'Read only for a short time',
      'This application can be read. It takes changes again soon. What you have just sent was not saved: please send it again then.',
    ),
    [trafficMap]: renderTrafficMap({ split: inputs.split, holdUntil: 0, refuseUntil: 0 }),
  };
}

/**
 * Foreground command line of HAProxy's master process, which starts the worker. SIGUSR2 reloads the configuration
 * without refusing connections; if the new configuration is invalid, the old worker continues. SIGUSR1 finishes the
 * requests in flight and stops. stdout is the access log. File names in the configuration are relative to the directory
 * of `-C`, so that spaces in the path and its length do not matter.
 */
export function balancerCommand(layout: Layout): string[] {
  const directory = layout.balancer();
  const master = `${masterSocket(layout)},mode,600`;
  return [toolPath('haproxy'), '-W', '-db', '-S', master, '-C', directory, '-f', join(directory, 'haproxy.cfg')];
}

function renderConfiguration(inputs: BalancerInputs): string {
  const { spec, layout, ports } = inputs;
  const from = (file: string) => relative(layout.balancer(), file);
  return [
    renderDefaults(spec, balancerSocket(layout)),
    renderFrontend({
      spec,
      ports,
      certificate: from(join(layout.certificates(), 'server.pem')),
      innerSocket: socketPath(layout.balancer(), 'entry.sock'),
      secretFile: from(layout.secretFile('route')),
    }),
    ...renderBackends(spec, ports),
  ].join('\n');
}

/**
 * `nbthread 1`: a runtime API command then runs between two requests. No request can be past the hold and not yet
 * counted when the command answers.
 */
function renderDefaults(spec: EnvironmentSpec, socket: string): string {
  return `global
  log stdout len 1024 format raw local0 info
  nbthread 1
  # Where the system allows fewer, there are fewer connections (maxconn): lua.crowded refuses before that.
  fd-hard-limit 65536
  # Twice the largest head, so that the rules can still answer a larger one.
  tune.bufsize ${(2 * headerKilobytes(spec) + 4) * 1024}
  tune.maxrewrite 4096
  # A client of HTTP/2 may send each cookie as a header of its own.
  tune.http.maxhdr 256
  hard-stop-after ${balancerStopSeconds}s
  stats socket "${socket}" mode 600 level admin expose-fd listeners
  stats timeout 30s
  lua-load hold.lua
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  ssl-default-bind-ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256

defaults
  mode http
  log global
  option dontlognull
  option abortonclose
  # During a reload, idle client connections stay open: a client may be sending. They are closed with the next response.
  option idle-close-on-response
  # If a connection to an instance fails, the next instance is tried at once.
  option redispatch 1
  retries 3
  timeout connect 2s
  timeout client 30s
  # Of the services, each has its own. This is that of the hop between the entry point's two parts.
  timeout server ${longestTimeout(spec) + 30}s
  timeout queue 5s
  timeout check 2s
  timeout http-request 10s
  timeout http-keep-alive 10s
  timeout tunnel ${longestTimeout(spec) + 30}s
  http-error status 502 content-type text/html file unavailable.html hdr cache-control no-store
  http-error status 503 content-type text/html file unavailable.html hdr cache-control no-store hdr retry-after 5
`;
}

const page = (title: string, text: string): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><p>${text}</p></html>\n`;
