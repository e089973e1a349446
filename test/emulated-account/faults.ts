import { setTimeout as delay } from 'node:timers/promises';
import { protocolOf } from './decode.ts';
import type { Answer, Call } from './hooks.ts';

export type FaultKind =
  /** The service throttles, with its real error code. */
  | 'throttling'
  | 'internal'
  | 'unavailable'
  | 'expired-token'
  /** Access keys that do not exist. */
  | 'wrong-keys'
  | 'access-denied'
  /** The connection ends before the call is carried out. */
  | 'drop'
  /** The call is carried out, and the connection ends before its answer. */
  | 'answer-lost'
  /** The call is carried out after `delayMs`. */
  | 'slow';

export interface FaultRule {
  kind: FaultKind;
  service: string;
  /** Absent: all calls of the service. */
  action?: string;
  /** Number of calls. Absent: all until the fault is removed. */
  times?: number;
  /** Delay before anything else happens, ms. */
  delayMs?: number;
}

/** A fault that was set. */
export interface Fault {
  /**
   * Times (ms since the epoch) of all matching calls since it was set, including those that went through after it was
   * used up.
   */
  attempts: number[];
  /** Number of calls that it affected. */
  struck: number;
  remove(): void;
}

export interface Strike {
  kind: FaultKind;
  delayMs: number | undefined;
  delay(): Promise<void>;
  /** The error. Undefined if the call goes on. */
  answer(call: Call): Answer | undefined;
}

/** Faults at the gateway, and how often they were met. */
export class Faults {
  readonly #set: { rule: FaultRule; fault: Fault }[] = [];
  readonly #end = new AbortController();

  add(rule: FaultRule): Fault {
    if (rule.kind === 'slow' && rule.delayMs === undefined) throw new Error('a slow call needs delayMs');
    const entry = { rule, fault: { attempts: [], struck: 0, remove: () => this.#remove(entry) } as Fault };
    this.#set.push(entry);
    return entry.fault;
  }

  clear(): void {
    this.#set.length = 0;
  }

  close(): void {
    this.#end.abort();
  }

  /** The first matching fault that is not used up. All matching faults record the call. */
  next(call: Pick<Call, 'service' | 'action'>): Strike | undefined {
    const mine = this.#set.filter(
      ({ rule }) => rule.service === call.service && (rule.action ?? call.action) === call.action,
    );
    for (const { fault } of mine) fault.attempts.push(Date.now());
    const hit = mine.find(({ rule, fault }) => fault.struck < (rule.times ?? Infinity));
    if (hit === undefined) return undefined;
    hit.fault.struck++;
    const { kind, delayMs } = hit.rule;
    const wait = () => delay(delayMs, undefined, { signal: this.#end.signal }).catch(() => undefined);
    return { kind, delayMs, delay: wait, answer: (of) => injected(kind, of) };
  }

  #remove(entry: { rule: FaultRule; fault: Fault }) {
    const index = this.#set.indexOf(entry);
    if (index >= 0) this.#set.splice(index, 1);
  }
}

interface AwsError {
  status: number;
  code: string;
  message: string;
}

const rate = (code: string, status = 400, message = 'Rate exceeded'): AwsError => ({ status, code, message });

/** Throttling error of each service, from its API reference. */
const throttling: Record<string, AwsError> = {
  elasticloadbalancing: rate('Throttling'),
  rds: rate('Throttling'),
  sns: rate('Throttling'),
  sts: rate('Throttling'),
  iam: rate('Throttling'),
  monitoring: rate('Throttling'),
  route53: rate('Throttling'),
  autoscaling: rate('Throttling'),
  ec2: rate('RequestLimitExceeded', 503, 'Request limit exceeded.'),
  s3: rate('SlowDown', 503, 'Please reduce your request rate.'),
  sqs: rate('RequestThrottled', 400, 'The request was denied due to request throttling.'),
  lambda: rate('TooManyRequestsException', 429),
};

function injected(kind: FaultKind, call: Call): Answer | undefined {
  switch (kind) {
    case 'throttling':
      return errorAnswer(call, throttling[call.service] ?? rate('ThrottlingException'));
    case 'internal':
      return errorAnswer(call, { status: 500, code: internalCode(call), message: 'An internal error has occurred.' });
    case 'unavailable':
      return errorAnswer(call, {
        status: 503,
        code: 'ServiceUnavailable',
        message: 'Service is unavailable. Please retry.',
      });
    case 'expired-token':
      return errorAnswer(call, expired(call));
    case 'wrong-keys':
      return errorAnswer(call, wrongKeys(call));
    case 'access-denied':
      return errorAnswer(call, denied(call));
    default:
      return undefined;
  }
}

const internalCode = ({ service }: Call) =>
  ({ s3: 'InternalError', ec2: 'InternalError', ecs: 'ServerException', ecr: 'ServerException' })[service] ??
  'InternalFailure';

function expired(call: Call): AwsError {
  if (call.service === 's3') return { status: 400, code: 'ExpiredToken', message: 'The provided token has expired.' };
  if (call.service === 'ec2') return { status: 400, code: 'RequestExpired', message: 'Request has expired.' };
  const message = 'The security token included in the request is expired';
  return protocolOf(call) === 'json'
    ? { status: 400, code: 'ExpiredTokenException', message }
    : { status: 403, code: 'ExpiredToken', message };
}

function wrongKeys({ service }: Call): AwsError {
  if (service === 's3')
    return {
      status: 403,
      code: 'InvalidAccessKeyId',
      message: 'The AWS Access Key Id you provided does not exist in our records.',
    };
  if (service === 'ec2')
    return {
      status: 401,
      code: 'AuthFailure',
      message: 'AWS was not able to validate the provided access credentials',
    };
  return {
    status: 403,
    code: 'InvalidClientTokenId',
    message: 'The security token included in the request is invalid.',
  };
}

function denied({ service, action, ...call }: Call): AwsError {
  if (service === 's3') return { status: 403, code: 'AccessDenied', message: 'Access Denied' };
  const message = `User: arn:aws:iam::123456789012:user/somebody is not authorized to perform: ${service}:${action}`;
  if (service === 'ec2') return { status: 403, code: 'UnauthorizedOperation', message };
  return protocolOf({ service, ...call }) === 'json'
    ? { status: 400, code: 'AccessDeniedException', message }
    : { status: 403, code: 'AccessDenied', message };
}

const requestId = '00000000-0000-4000-8000-000000000000';

/** An error answer in the service's protocol. */
export function errorAnswer(call: Pick<Call, 'service' | 'headers'>, { status, code, message }: AwsError): Answer {
  const protocol = protocolOf(call);
  if (protocol === 'json' || call.service === 'lambda') {
    const type = call.headers['content-type'] ?? 'application/json';
    const headers = { 'content-type': type, 'x-amzn-errortype': code, 'x-amzn-requestid': requestId };
    return { status, headers, body: Buffer.from(JSON.stringify({ __type: code, message })) };
  }
  const error = `<Code>${code}</Code><Message>${escapeXml(message)}</Message>`;
  const type = status < 500 ? 'Sender' : 'Receiver';
  const xml = {
    ec2: `<Response><Errors><Error>${error}</Error></Errors><RequestID>${requestId}</RequestID></Response>`,
    s3: `<Error>${error}<RequestId>${requestId}</RequestId></Error>`,
    query: `<ErrorResponse><Error><Type>${type}</Type>${error}</Error><RequestId>${requestId}</RequestId></ErrorResponse>`,
  };
  const body = xml[call.service === 's3' ? 's3' : protocol === 'ec2' ? 'ec2' : 'query'];
  const headers = { 'content-type': 'text/xml', 'x-amzn-requestid': requestId };
  return { status, headers, body: Buffer.from(`<?xml version="1.0" encoding="UTF-8"?>\n${body}`) };
}

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
export const escapeXml = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => entities[character] ?? '');
