import { request } from 'node:http';
import { XMLParser } from 'fast-xml-parser';

/**
 * Client for supervisord's XML-RPC interface on its unix socket. Avoids `supervisorctl`, which starts a Python
 * interpreter for each call.
 */

export type RpcValue = string | number | boolean | RpcValue[] | { [name: string]: RpcValue };

/** A fault that supervisord returned. The codes are in `supervisor/xmlrpc.py`, class Faults. */
export class RpcFault extends Error {
  readonly code: number;
  constructor(code: number, text: string) {
    super(text);
    this.name = 'RpcFault';
    this.code = code;
  }
}

export const faults = {
  badName: 10,
  notRunning: 70,
  alreadyAdded: 90,
  stillRunning: 91,
  cantReread: 92,
  alreadyStarted: 60,
} as const;

/** Calls `method`. Rejects with an `RpcFault`, or with the socket's error if supervisord does not listen. */
export async function call(socket: string, method: string, ...params: RpcValue[]): Promise<RpcValue> {
  const body =
    `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>` +
    params.map((param) => `<param>${encode(param)}</param>`).join('') +
    '</params></methodCall>';
  return decode(await post(socket, body));
}

function post(socket: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'text/xml', 'content-length': Buffer.byteLength(body), connection: 'close' };
    const req = request({ socketPath: socket, path: '/RPC2', method: 'POST', headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('error', reject);
      res.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        if (res.statusCode === 200) resolve(text);
        else reject(new Error(`supervisord answered with status ${res.statusCode}`));
      });
    });
    req.on('error', reject);
    req.end(body);
  });
}

function encode(value: RpcValue): string {
  if (typeof value === 'boolean') return `<value><boolean>${Number(value)}</boolean></value>`;
  if (typeof value === 'number') return `<value><int>${value}</int></value>`;
  if (typeof value === 'string') return `<value><string>${escape(value)}</string></value>`;
  throw new TypeError('lists and records are not supported as parameters');
}

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  isArray: (name) => ['member', 'param'].includes(name),
});

interface Node {
  [name: string]: Node | Node[] | string | undefined;
}

function decode(xml: string): RpcValue {
  const response = (parser.parse(xml) as { methodResponse: Node }).methodResponse;
  if (response['fault'] !== undefined) {
    const fault = value((response['fault'] as Node)['value']) as { faultCode: number; faultString: string };
    throw new RpcFault(fault.faultCode, fault.faultString);
  }
  const [first] = (response['params'] as Node)['param'] as Node[];
  return value(first?.['value']);
}

function value(node: Node[string]): RpcValue {
  if (node === undefined || typeof node === 'string') return node ?? '';
  if (Array.isArray(node)) throw new TypeError('supervisord returned several values where one is expected');
  if (node['array'] !== undefined) {
    const data = (node['array'] as Node)['data'];
    if (data === undefined || typeof data === 'string') return [];
    return list((data as Node)['value']).map(value);
  }
  if (node['struct'] !== undefined) {
    const members =
      typeof node['struct'] === 'string' ? [] : ((node['struct'] as Node)['member'] as Node[] | undefined);
    return Object.fromEntries((members ?? []).map((member) => [member['name'] as string, value(member['value'])]));
  }
  if (node['boolean'] !== undefined) return node['boolean'] === '1';
  const number = node['int'] ?? node['i4'];
  if (number !== undefined) return Number(number);
  return (node['string'] as string | undefined) ?? '';
}

const list = <T>(one: T | T[] | undefined): T[] => (one === undefined ? [] : Array.isArray(one) ? one : [one]);
