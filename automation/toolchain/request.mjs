// GET with Node built-ins. `fetch` supports HTTPS_PROXY only from Node 24 on, and the set-up runs on Node 20.
import { Buffer } from 'node:buffer';
import http from 'node:http';
import https from 'node:https';
import tls from 'node:tls';

const redirectsFollowed = 5;
const modules = { 'http:': http, 'https:': https };

const setting = (name) => process.env[name.toLowerCase()] || process.env[name] || undefined;

/** The proxy that the shell names for this address, or undefined. */
function proxyFor(target) {
  const name = target.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const proxy = setting(name);
  if (proxy === undefined) return undefined;
  const direct = (setting('NO_PROXY') ?? '').split(',').map((entry) => entry.trim().replace(/^\*?\./, ''));
  const { hostname } = target;
  const isDirect = (entry) => entry === '*' || (entry !== '' && (hostname === entry || hostname.endsWith(`.${entry}`)));
  if (direct.some(isDirect)) return undefined;
  try {
    return new URL(proxy.includes('://') ? proxy : `http://${proxy}`);
  } catch {
    throw new Error(`${name} is not an address`);
  }
}

function proxyHeaders({ username, password }) {
  if (username === '') return {};
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(user).toString('base64')}` };
}

/** A CONNECT tunnel to `target` through the proxy, which sees only name and port. */
function tunnel(proxy, target, signal) {
  const path = `${target.hostname}:${target.port || 443}`;
  const headers = { host: path, ...proxyHeaders(proxy) };
  const { hostname: host, port } = proxy;
  return new Promise((resolve, reject) => {
    // Not Node's global agent, which uses a proxy itself if NODE_USE_ENV_PROXY is set.
    const options = { host, port, method: 'CONNECT', path, headers, signal, agent: false };
    const request = modules[proxy.protocol].request(options);
    request.once('connect', ({ statusCode }, socket) => {
      if (statusCode === 200) return resolve(socket);
      socket.destroy();
      return reject(new Error(`the proxy ${proxy.host} answered ${statusCode}`));
    });
    request.once('error', reject);
    request.end();
  });
}

/** Request options that reach `target` directly, through a tunnel (HTTPS), or by a request to the proxy (HTTP). */
async function connectionTo(target, signal) {
  const proxy = proxyFor(target);
  if (proxy === undefined) return { agent: false };
  if (target.protocol === 'https:') {
    const socket = await tunnel(proxy, target, signal);
    return { createConnection: () => tls.connect({ socket, servername: target.hostname }) };
  }
  const headers = { host: target.host, ...proxyHeaders(proxy) };
  return { agent: false, host: proxy.hostname, port: proxy.port || 80, path: target.href, headers };
}

async function send(target, signal) {
  const connection = await connectionTo(target, signal);
  return new Promise((resolve, reject) => {
    modules[target.protocol].get(target, { ...connection, signal }, resolve).once('error', reject);
  });
}

/**
 * Follows redirects, but never from HTTPS to HTTP.
 * @param {string | URL} url
 * @param {AbortSignal} signal also aborts reading the response
 * @returns {Promise<http.IncomingMessage>} a response with status 200; its body is not read yet
 */
export async function get(url, signal, redirects = redirectsFollowed) {
  const target = new URL(url);
  const response = await send(target, signal);
  const { statusCode, headers } = response;
  if (statusCode === 200) return response;
  response.destroy();
  if (statusCode < 300 || statusCode > 399 || headers.location === undefined) {
    throw new Error(`the server answered ${statusCode}`);
  }
  const next = new URL(headers.location, target);
  if (redirects === 0) throw new Error('it redirects too often');
  if (modules[next.protocol] === undefined || (target.protocol === 'https:' && next.protocol !== 'https:')) {
    throw new Error(`it redirects from ${target.protocol} to ${next.protocol}`);
  }
  return get(next, signal, redirects - 1);
}
