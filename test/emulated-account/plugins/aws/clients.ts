import { createHash } from 'node:crypto';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ECRClient } from '@aws-sdk/client-ecr';
import { ECSClient } from '@aws-sdk/client-ecs';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { RDSClient } from '@aws-sdk/client-rds';
import { Route53Client } from '@aws-sdk/client-route-53';
import { S3Client } from '@aws-sdk/client-s3';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient } from '@aws-sdk/client-sqs';
import { STSClient } from '@aws-sdk/client-sts';
import type { Properties } from '../serve.ts';

/** Timeout of one call, ms. The emulated account may start a database in it. */
const callMs = 180_000;

export type AccountClients = ReturnType<typeof clientsIn>;

/**
 * Clients of one region. The product's clients have the time limits of a release, which are too short for creating
 * resources.
 */
export function clientsIn(region: string) {
  const common = { region, requestHandler: { requestTimeout: callMs, connectionTimeout: 5000 } };
  return {
    balancer: new ElasticLoadBalancingV2Client(common),
    containers: new ECSClient(common),
    databases: new RDSClient(common),
    objects: new S3Client({ ...common, forcePathStyle: true }),
    secrets: new SecretsManagerClient(common),
    metrics: new CloudWatchClient(common),
    logs: new CloudWatchLogsClient(common),
    topics: new SNSClient(common),
    queues: new SQSClient(common),
    images: new ECRClient(common),
    names: new Route53Client(common),
    network: new EC2Client(common),
    identity: new STSClient(common),
    ...callsIn(region),
  };
}

/**
 * Calls to services for which the project has no client, by their wire protocols. The header is not a valid signature:
 * it only names service and region, which is all that an emulator reads.
 */
function callsIn(region: string) {
  const endpoint = process.env['AWS_ENDPOINT_URL'];
  if (endpoint === undefined)
    throw new Error('AWS_ENDPOINT_URL is not set: this is a stand-in for an emulated account');
  const send = async (service: string, method: string, path: string, type: string, body: string, more = {}) => {
    const scope = `${process.env['AWS_ACCESS_KEY_ID'] ?? 'none'}/20260101/${region}/${service}/aws4_request`;
    const response = await fetch(`${endpoint}${path}`, {
      method,
      ...(body === '' ? {} : { body }),
      headers: {
        authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=${'0'.repeat(64)}`,
        'x-amz-date': '20260101T000000Z',
        'x-amz-content-sha256': createHash('sha256').update(body).digest('hex'),
        'content-type': type,
        ...more,
      },
      signal: AbortSignal.timeout(callMs),
    });
    const text = await response.text();
    if (!response.ok) throw refusal(`${service} ${method} ${path}`, response, text);
    return text;
  };
  return {
    /** JSON 1.1: KMS, ACM, scaling. `target` is `TrentService.CreateKey`. */
    async json(service: string, target: string, input: Properties): Promise<Properties> {
      const more = { 'x-amz-target': target };
      const text = await send(service, 'POST', '/', 'application/x-amz-json-1.1', JSON.stringify(input), more);
      return parsed(text);
    },
    /** REST with JSON: Lambda, Backup. */
    async rest(service: string, method: string, path: string, input?: Properties): Promise<Properties> {
      const body = input === undefined ? '' : JSON.stringify(input);
      return parsed(await send(service, method, path, 'application/json', body));
    },
    /** Forms with answers in XML: IAM. */
    query(service: string, version: string, action: string, fields: Record<string, string>): Promise<string> {
      const body = new URLSearchParams({ Action: action, Version: version, ...fields }).toString();
      return send(service, 'POST', '/', 'application/x-www-form-urlencoded', body);
    },
  };
}

const parsed = (text: string): Properties => (text === '' ? {} : (JSON.parse(text) as Properties));

/** An error in the form of the SDK's: its name is AWS's error code. */
function refusal(call: string, response: Response, text: string): Error {
  const field = (...names: string[]) =>
    names
      .map((name) => new RegExp(`"${name}":\\s*"([^"]*)"|<${name}>([^<]*)<`).exec(text))
      .find((found) => found !== null);
  const pick = (found: RegExpExecArray | undefined) => found?.[1] ?? found?.[2];
  const code = response.headers.get('x-amzn-errortype') ?? pick(field('__type', 'Code'))?.split('#').at(-1);
  const error = new Error(pick(field('message', 'Message')) ?? `${call}: ${response.status} ${text.slice(0, 300)}`);
  error.name = code ?? `Status${response.status}`;
  return error;
}
