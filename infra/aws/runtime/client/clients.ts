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

/**
 * Attempts per call, including the first. Between them the SDK waits by exponential backoff with full jitter, at most
 * 20 s ("Retry behavior" in the AWS SDKs and Tools reference). It retries only throttling, 5xx and broken connections.
 */
export const maxAttempts = 6;

/** Timeout of one attempt, ms: a call that hangs must not hold up a cutover. */
const requestMs = 10_000;
const connectMs = 3_000;

/** Timeout used instead for objects that may be large, ms. */
export const transferMs = 30 * 60_000;

/** One client per AWS service that the runtime calls. Injected, so that tests can use an emulator. */
export interface Clients {
  balancer: ElasticLoadBalancingV2Client;
  containers: ECSClient;
  databases: RDSClient;
  objects: S3Client;
  secrets: SecretsManagerClient;
  metrics: CloudWatchClient;
  logs: CloudWatchLogsClient;
  topics: SNSClient;
  queues: SQSClient;
  images: ECRClient;
  identity: STSClient;
  names: Route53Client;
  network: EC2Client;
}

export interface ClientOptions {
  region: string;
  /** URL of an emulator. Default: AWS_ENDPOINT_URL, as in every AWS tool. */
  endpoint?: string;
  /** Default: the usual sources of AWS tools (environment, profile, role of the machine). */
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
}

/** AWS_ENDPOINT_URL, which points to an emulator. Undefined if unset or empty, as in the SDK. */
export const emulatorEndpoint = (): string | undefined => {
  const url = process.env['AWS_ENDPOINT_URL'];
  return url === '' ? undefined : url;
};

/** Creates clients with a common configuration. Makes no call. */
export function createClients({ region, endpoint, credentials }: ClientOptions): Clients {
  const common = {
    region,
    maxAttempts,
    retryMode: 'standard',
    // Without `throwOnRequestTimeout` the SDK only logs the timeout and keeps waiting.
    requestHandler: { requestTimeout: requestMs, connectionTimeout: connectMs, throwOnRequestTimeout: true },
    endpoint,
    credentials,
  };
  // Emulators do not serve each bucket under its own host name.
  const byPath = (endpoint ?? emulatorEndpoint()) !== undefined;
  return {
    balancer: new ElasticLoadBalancingV2Client(common),
    containers: new ECSClient(common),
    databases: new RDSClient(common),
    objects: new S3Client({ ...common, forcePathStyle: byPath }),
    secrets: new SecretsManagerClient(common),
    metrics: new CloudWatchClient(common),
    logs: new CloudWatchLogsClient(common),
    topics: new SNSClient(common),
    queues: new SQSClient(common),
    images: new ECRClient(common),
    identity: new STSClient(common),
    names: new Route53Client(common),
    network: new EC2Client(common),
  };
}
