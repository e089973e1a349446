import { CreateTagsCommand, DeleteTagsCommand, type ResourceType } from '@aws-sdk/client-ec2';
import type { Change, Context } from '../../handler.ts';
import { tagChange, tagList } from './tags.ts';

type Tags = Record<string, string> | undefined;

export const tagSpecifications = (ResourceType: ResourceType, tags: Tags) =>
  tags === undefined ? undefined : [{ ResourceType, Tags: tagList(tags) }];

/** Update of EC2 resources of which only tags can change in place. */
export async function retagEc2({ id, inputs, state }: Change<{ tags?: Tags }>, { clients }: Context): Promise<void> {
  const { added, removed } = tagChange(state.tags, inputs.tags);
  const Resources = [id];
  if (removed.length > 0)
    await clients.network.send(new DeleteTagsCommand({ Resources, Tags: removed.map((Key) => ({ Key })) }));
  if (Object.keys(added).length > 0)
    await clients.network.send(new CreateTagsCommand({ Resources, Tags: tagList(added) }));
}
