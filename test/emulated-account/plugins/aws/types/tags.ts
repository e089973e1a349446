/** Tags in the form of most services. */
export const tagList = (tags: Record<string, string> | undefined): { Key: string; Value: string }[] =>
  Object.entries(tags ?? {}).map(([Key, Value]) => ({ Key, Value }));

/** Tags as an object, without those of AWS itself, which cannot be declared. */
export const tagMap = (
  list: { Key?: string | undefined; Value?: string | undefined }[] | undefined,
): Record<string, string> =>
  Object.fromEntries(
    (list ?? []).filter(({ Key }) => !Key?.startsWith('aws:')).map(({ Key, Value }) => [Key ?? '', Value ?? '']),
  );

/** The changes that turn the existing tags into the wanted ones. */
export function tagChange(old: unknown, wanted: Record<string, string> | undefined) {
  const [before, after] = [(old ?? {}) as Record<string, string>, wanted ?? {}];
  const added = Object.fromEntries(Object.entries(after).filter(([key, value]) => before[key] !== value));
  return { added, removed: Object.keys(before).filter((key) => !(key in after)) };
}
