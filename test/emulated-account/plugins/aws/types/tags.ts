/** Tags as most services have them. */
export const tagList = (tags: Record<string, string> | undefined): { Key: string; Value: string }[] =>
  Object.entries(tags ?? {}).map(([Key, Value]) => ({ Key, Value }));

/** Those of AWS itself are nobody's to declare. */
export const tagMap = (
  list: { Key?: string | undefined; Value?: string | undefined }[] | undefined,
): Record<string, string> =>
  Object.fromEntries(
    (list ?? []).filter(({ Key }) => !Key?.startsWith('aws:')).map(({ Key, Value }) => [Key ?? '', Value ?? '']),
  );

/** What has to be done to make the tags that are there those that are wanted. */
export function tagChange(old: unknown, wanted: Record<string, string> | undefined) {
  const [before, after] = [(old ?? {}) as Record<string, string>, wanted ?? {}];
  const added = Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value));
  return { added, removed: Object.keys(before).filter((key) => !(key in after)) };
}
