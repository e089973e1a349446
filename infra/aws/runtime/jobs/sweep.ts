import {
  DescribeTaskDefinitionCommand,
  DescribeTasksCommand,
  paginateListTaskDefinitions,
  paginateListTasks,
} from '@aws-sdk/client-ecs';
import { paginateListSecrets } from '@aws-sdk/client-secrets-manager';
import { jobSecretPrefix } from '../../lib/names.ts';
import { calling } from '../client/errors.ts';
import { deleteDefinition, deleteSecret, stopTask, taskFamily } from './task.ts';
import type { Setting } from '../client/setting.ts';
import { fromTagList, isLeftOver } from '../client/temporary.ts';

/** Most tasks that one DescribeTasks call takes. */
const perCall = 100;

/**
 * Stops the tasks of jobs and previews that ended runs left behind, and deletes their definitions and secrets. Resolves
 * to the names of all. Call it only while the environment is locked.
 */
export const sweepTasks = (setting: Setting): Promise<string[]> =>
  calling('deleting the tasks of ended runs', async () => {
    const families = [taskFamily(setting.environment, 'job'), taskFamily(setting.environment, 'preview')];
    const swept: string[] = [];
    for (const family of families) {
      swept.push(...(await stopLeftOver(setting, family)));
      swept.push(...(await deleteLeftDefinitions(setting, family)));
    }
    return [...swept, ...(await deleteLeftSecrets(setting))];
  });

async function stopLeftOver(setting: Setting, family: string): Promise<string[]> {
  const { clients, foundation } = setting;
  const cluster = foundation.cluster.arn;
  const swept: string[] = [];
  const client = { client: clients.containers, pageSize: perCall };
  for await (const { taskArns = [] } of paginateListTasks(client, { cluster, family })) {
    if (taskArns.length === 0) continue;
    const command = new DescribeTasksCommand({ cluster, tasks: taskArns, include: ['TAGS'] });
    for (const { taskArn, tags } of (await clients.containers.send(command)).tasks ?? []) {
      if (taskArn === undefined || !isLeftOver(fromTagList(tags), foundation.spec)) continue;
      await stopTask(setting, taskArn, 'left behind by a run that has ended');
      swept.push(taskArn.split('/').at(-1) ?? taskArn);
    }
  }
  return swept;
}

async function deleteLeftDefinitions(setting: Setting, family: string): Promise<string[]> {
  const { clients, foundation } = setting;
  const swept: string[] = [];
  const query = { familyPrefix: family, status: 'ACTIVE' } as const;
  for await (const { taskDefinitionArns = [] } of paginateListTaskDefinitions({ client: clients.containers }, query))
    for (const arn of taskDefinitionArns) {
      const command = new DescribeTaskDefinitionCommand({ taskDefinition: arn, include: ['TAGS'] });
      const { taskDefinition, tags } = await clients.containers.send(command);
      if (taskDefinition?.family !== family || !isLeftOver(fromTagList(tags), foundation.spec)) continue;
      await deleteDefinition(setting, arn);
      swept.push(arn.split('/').at(-1) ?? arn);
    }
  return swept;
}

async function deleteLeftSecrets(setting: Setting): Promise<string[]> {
  const { clients, environment, foundation } = setting;
  const swept: string[] = [];
  const prefix = jobSecretPrefix(environment);
  const query = { Filters: [{ Key: 'name' as const, Values: [prefix] }] };
  for await (const { SecretList = [] } of paginateListSecrets({ client: clients.secrets }, query))
    for (const { ARN, Name = '', Tags } of SecretList) {
      if (ARN === undefined || !Name.startsWith(prefix) || !isLeftOver(fromTagList(Tags), foundation.spec)) continue;
      await deleteSecret(setting, ARN);
      swept.push(Name);
    }
  return swept;
}
