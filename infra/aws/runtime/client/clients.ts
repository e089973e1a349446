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
 * Attempts per call, the first one included. The SDK waits between them by exponential backoff with full jitter, 20 s at
 * most ("Retry behavior" in the AWS SDKs and Tools reference), and repeats what may be repeated only: throttling, 5xx,
 * broken connections.
 */
export const maxAttempts = 6;

/** Longest time for one attempt, ms: a call that hangs must not hold up a cutover. */
const requestMs = 10_000;
const connectMs = 3_000;

/** In its place for one object that may be large, ms. */
export const transferMs = 30 * 60_000;

/** One client per service that the run time calls. Injected, so that tests say where they go. */
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
  /** Instead of AWS itself: an emulator. Default: AWS_ENDPOINT_URL, as for every program of AWS. */
  endpoint?: string;
  /** Default: where AWS's programs find them (environment, profile, role of the machine). */
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
}

/** What answers in the place of AWS: AWS_ENDPOINT_URL, which counts as not set where it is empty, as for the SDK. */
export const emulatorEndpoint = (): string | undefined => {
  const url = process.env['AWS_ENDPOINT_URL'];
  return url === '' ? undefined : url;
};

/** Clients that share one configuration. Makes no call. */
export function createClients({ region, endpoint, credentials }: ClientOptions): Clients {
  const common = {
    region,
    maxAttempts,
    retryMode: 'standard',
    // Without the last the SDK says that the time has passed, and goes on waiting.
    requestHandler: { requestTimeout: requestMs, connectionTimeout: connectMs, throwOnRequestTimeout: true },
    endpoint,
    credentials,
  };
  // Emulators have no name per bucket.
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
