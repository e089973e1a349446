import {
  type Agent,
  request,
  STATUS_CODES,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { eventOf, type Functions } from './balancer-function.ts';
import type { Listener } from './balancer-model.ts';
import type { Target, Targets } from './balancer-targets.ts';
import { groupFor, redirectTo, ruleFor, type Action, type Forward } from './rules.ts';

/** A request that was answered. */
export interface Served {
  at: number;
  balancerArn: string;
  /** Absent if no target was chosen. */
  groupArn?: string;
  status: number;
  /** Source of the answer. */
  by: 'target' | 'balancer';
  /** From forwarding until the headers of the answer arrived, ms. Only for targets. */
  ms?: number;
  /** The target could not be connected to. */
  unreachable?: true;
}

export interface ProxyContext {
  /** The current listener. */
  listener: () => Listener;
  targets: (groupArn: string) => Targets | undefined;
  agent: Agent;
  functions: Functions;
  /** Whether the firewall rejects requests without a User-Agent header. */
  firewall: boolean;
  served: (one: Served) => void;
  /** Port that the client connected to. */
  port: number;
}

/** The balancer's idle timeout: a target that is silent for this long has failed. */
const idleMs = 60_000;

/** Handles one request to a listener, from the rules to the end of the answer. */
export class Exchange {
  readonly #context: ProxyContext;
  readonly #listener: Listener;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;

  constructor(context: ProxyContext, incoming: IncomingMessage, response: ServerResponse) {
    this.#context = context;
    this.#listener = context.listener();
    this.#request = incoming;
    this.#response = response;
  }

  run(): void {
    const { method = 'GET', url = '/', headers } = this.#request;
    // `NoUserAgent_HEADER` of AWS's common rules.
    if (this.#context.firewall && headers['user-agent'] === undefined) return this.#answerError(403);
    const rule = ruleFor(this.#listener.rules, { method, url, headers });
    if (rule === undefined) return this.#answerError(503);
    this.#perform(rule.action, url);
  }

  #perform(action: Action, url: string): void {
    switch (action.type) {
      case 'forward':
        return this.#forward(action);
      case 'fixed-response':
        return this.#answer(action.status, { 'content-type': `${action.contentType}; charset=utf-8` }, action.body);
      case 'redirect': {
        const { method = 'GET', headers } = this.#request;
        const listener = { protocol: this.#listener.protocol, port: this.#context.port };
        return this.#answer(action.status, { location: redirectTo(action, { method, url, headers }, listener) }, '');
      }
    }
  }

  #forward(forward: Forward): void {
    const choice = groupFor(forward, this.#request.headers.cookie);
    const targets = choice && this.#context.targets(choice.arn);
    const target = targets?.next();
    if (choice === undefined || targets === undefined || target === undefined) return this.#answerError(503);
    if (targets.group.type === 'lambda') return this.#invoke(choice.arn, target.id);
    this.#pass(choice.arn, target, choice.setCookie);
  }

  #invoke(groupArn: string, functionArn: string): void {
    const began = Date.now();
    this.#request.resume();
    this.#context.functions.invoke(functionArn, eventOf(this.#request, groupArn)).then(
      ({ statusCode, headers = {}, body = '' }) => {
        this.#count({ groupArn, status: statusCode, by: 'target', ms: Date.now() - began });
        this.#response.writeHead(statusCode, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
      },
      () => this.#answerError(502, { groupArn }),
    );
  }

  #pass(groupArn: string, target: Target, setCookie: string | undefined): void {
    const began = Date.now();
    const { method, url } = this.#request;
    const passed = request({
      host: target.id,
      port: target.port,
      method,
      path: url,
      headers: this.#headers(),
      agent: this.#context.agent,
      setHost: false,
      timeout: idleMs,
    });
    const giveUp = () => passed.destroy();
    // Ends requests that are still in flight when the target's time to drain is over.
    target.end.signal.addEventListener('abort', giveUp);
    passed.once('close', () => target.end.signal.removeEventListener('abort', giveUp));
    this.#response.once('close', () => {
      if (!this.#response.writableFinished) giveUp();
    });
    passed.once('timeout', () => {
      this.#answerError(504, { groupArn });
      giveUp();
    });
    passed.once('error', (error: NodeJS.ErrnoException) => {
      if (this.#response.headersSent) return void this.#response.destroy();
      // No retries, not even of reads: as in AWS.
      const unreachable = error.syscall === 'connect' ? { unreachable: true as const } : {};
      this.#answerError(502, { groupArn, ...unreachable });
    });
    passed.once('response', (answer) => {
      this.#count({ groupArn, status: answer.statusCode ?? 502, by: 'target', ms: Date.now() - began });
      const headers = [...endToEnd(answer.rawHeaders), ...(setCookie === undefined ? [] : ['set-cookie', setCookie])];
      this.#response.writeHead(answer.statusCode ?? 502, answer.statusMessage, headers);
      answer.once('error', () => this.#response.destroy());
      answer.pipe(this.#response);
    });
    this.#request.pipe(passed);
  }

  #headers(): OutgoingHttpHeaders {
    const { headers, socket } = this.#request;
    const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => !hop.has(name)));
    const client = socket.remoteAddress ?? '127.0.0.1';
    const before = headers['x-forwarded-for'];
    return {
      ...kept,
      // Otherwise the agent would not send a body of unknown length.
      ...(headers['transfer-encoding'] === undefined ? {} : { 'transfer-encoding': 'chunked' }),
      'x-forwarded-for': before === undefined ? client : `${String(before)}, ${client}`,
      'x-forwarded-proto': this.#listener.protocol.toLowerCase(),
      'x-forwarded-port': String(this.#context.port),
      'x-amzn-trace-id': headers['x-amzn-trace-id'] ?? traceId(),
    };
  }

  /** Answers with an error page of the balancer. */
  #answerError(status: number, about: Pick<Served, 'groupArn' | 'unreachable'> = {}): void {
    if (this.#response.headersSent || this.#response.destroyed) return;
    const title = `${status} ${STATUS_CODES[status]}`;
    const page = `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`;
    this.#answer(status, { 'content-type': 'text/html' }, page, about);
  }

  #answer(
    status: number,
    headers: OutgoingHttpHeaders,
    body: string,
    about: Pick<Served, 'groupArn' | 'unreachable'> = {},
  ): void {
    this.#count({ ...about, status, by: 'balancer' });
    this.#request.resume();
    this.#response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
  }

  #count = (one: Omit<Served, 'at' | 'balancerArn'>) =>
    this.#context.served({ at: Date.now(), balancerArn: this.#listener.balancerArn, ...one });
}

/** Hop-by-hop headers. */
const hop = new Set(['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'proxy-connection']);

/** Alternating names and values, as the target wrote them, including repeated ones. */
const endToEnd = (raw: string[]): string[] =>
  raw.flatMap((name, i) => (i % 2 === 0 && !hop.has(name.toLowerCase()) ? [name, raw[i + 1] ?? ''] : []));

const hex = (length: number) => Array.from({ length }, () => Math.floor(Math.random() * 16).toString(16)).join('');

const traceId = () => `Root=1-${Math.floor(Date.now() / 1000).toString(16)}-${hex(24)}`;
