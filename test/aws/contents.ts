import { DescribeVpcsCommand } from '@aws-sdk/client-ec2';
import { DescribeRepositoriesCommand } from '@aws-sdk/client-ecr';
import { ListClustersCommand } from '@aws-sdk/client-ecs';
import { DescribeLoadBalancersCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import { ListBucketsCommand, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import { ListSecretsCommand } from '@aws-sdk/client-secrets-manager';
import { ListTopicsCommand } from '@aws-sdk/client-sns';
import type { Clients } from '../../infra/aws/runtime/client/clients.ts';
import { stateBucket } from './emulated.ts';

/** Keys in the bucket of the state. */
export async function objectsOf(client: S3Client, Prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { Contents = [] } of paginateListObjectsV2({ client }, { Bucket: stateBucket, Prefix }))
    keys.push(...Contents.flatMap(({ Key }) => Key ?? []));
  return keys;
}

/** What an account has of each kind that a release makes, and which stacks there are. */
export async function contentsOf(clients: Clients): Promise<Record<string, unknown>> {
  const { network, images, containers, balancer, databases, objects, secrets, topics } = clients;
  return {
    networks: (await network.send(new DescribeVpcsCommand())).Vpcs?.length,
    repositories: (await images.send(new DescribeRepositoriesCommand())).repositories?.length,
    clusters: (await containers.send(new ListClustersCommand())).clusterArns?.length,
    balancers: (await balancer.send(new DescribeLoadBalancersCommand())).LoadBalancers?.length,
    instances: (await databases.send(new DescribeDBInstancesCommand())).DBInstances?.length,
    buckets: (await objects.send(new ListBucketsCommand())).Buckets?.length,
    secrets: (await secrets.send(new ListSecretsCommand())).SecretList?.length,
    topics: (await topics.send(new ListTopicsCommand())).Topics?.length,
    stacks: await objectsOf(objects, '.pulumi/stacks/'),
  };
}
