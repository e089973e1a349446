import { gunzipSync } from 'node:zlib';
import type { Call } from './hooks.ts';

/** AWS protocol of a service, which determines the form of inputs and errors. */
export type Protocol = 'query' | 'ec2' | 'json' | 'rest';

/** Decodes a request: its service, its action, and its input if the form is known. */
export function decode(request: Pick<Call, 'method' | 'url' | 'headers' | 'body'>): Call {
  const service = serviceOf(request);
  const { action, input } = content(request);
  return { ...request, service, action, input };
}

/**
 * The service is part of a signature's scope: `Credential=<key>/<date>/<region>/<service>/aws4_request`, without the
 * region if it is signed for all regions (AWS4-ECDSA). A presigned URL has it in its query.
 */
export function serviceOf({ headers, url }: Pick<Call, 'headers' | 'url'>): string {
  const signed = /Credential=([^,\s]+)/.exec(headers['authorization'] ?? '')?.[1];
  const credential = signed ?? queryOf(url).get('X-Amz-Credential') ?? '';
  return credential.split('/').at(-2) ?? '';
}

export function protocolOf({ service, headers }: Pick<Call, 'service' | 'headers'>): Protocol {
  if (headers['x-amz-target'] !== undefined) return 'json';
  if (service === 'ec2') return 'ec2';
  return isForm(headers) ? 'query' : 'rest';
}

const isForm = (headers: Record<string, string>) =>
  (headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded');

const queryOf = (url: string) => new URL(url, 'http://127.0.0.1').searchParams;

function content({ method, url, headers, body }: Pick<Call, 'method' | 'url' | 'headers' | 'body'>) {
  const target = headers['x-amz-target'];
  if (target !== undefined) {
    const input = json(plain(headers, body));
    return { action: target.slice(target.lastIndexOf('.') + 1), input };
  }
  // Without a body the form is in the query: old clients use GET.
  const form = isForm(headers) ? new URLSearchParams(plain(headers, body).toString('utf8')) : queryOf(url);
  const action = form.get('Action');
  if (action !== null) return { action, input: Object.fromEntries(form) };
  return { action: method, input: Object.fromEntries(queryOf(url)) };
}

/** CloudWatch's clients compress large requests. */
const plain = (headers: Record<string, string>, body: Buffer): Buffer =>
  headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body;

function json(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** A list in a form's fields: `Tags.member.1`, `Tags.member.2`, ..., in order. */
export function listOf(input: Record<string, unknown>, name: string): string[] {
  const found: string[] = [];
  for (let i = 1; input[`${name}.member.${i}`] !== undefined; i++) found.push(String(input[`${name}.member.${i}`]));
  return found;
}
