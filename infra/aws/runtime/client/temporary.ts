import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { EnvironmentName } from '../../../model.ts';
import { home } from '../../../lib/paths.ts';

/**
 * Tags of temporary resources: who created them, and until when they may be needed. A run deletes its own resources
 * after use. If it was killed, a later sweep finds them by these tags. Nothing without these tags is ever deleted.
 */

/** The value is the purpose. */
export const temporaryTag = 'greenlight-temporary';
/** ISO 8601. After this time nobody needs the resource. For people who find it; the sweep ignores it. */
export const expiresTag = 'greenlight-expires';
/** The creator: `<machine id>:<process id>`. */
const runTag = 'greenlight-run';
const environmentTag = 'environment';

/** Removing these tags makes a resource permanent. */
export const temporaryTagNames = [temporaryTag, expiresTag, runTag];

export type Tags = Record<string, string>;

export interface Marks {
  environment: EnvironmentName;
  application: string;
  owner: string;
}

const machineFile = (): string => join(home(), 'aws', 'machine');

/** Random, and the same for all commands that share `.greenlight`. Host names are not unique among CI's containers. */
export function machineId(): string {
  const file = machineFile();
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    try {
      writeFileSync(file, randomBytes(8).toString('hex'), { flag: 'wx', mode: 0o600 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    return readFileSync(file, 'utf8').trim();
  }
}

/** Replaces characters that AWS does not allow in a tag, and limits the length. */
const tagText = (text: string): string => text.replaceAll(/[^\p{L}\p{N}_.:/=+@ -]+/gu, ' ').slice(0, 200);

const thisRun = (): string => `${machineId()}:${process.pid}`;

export const temporaryTags = (marks: Marks, purpose: string, lifeMs: number): Tags => ({
  application: marks.application,
  [environmentTag]: marks.environment,
  owner: marks.owner,
  [temporaryTag]: tagText(purpose),
  [expiresTag]: new Date(Date.now() + lifeMs).toISOString(),
  [runTag]: thisRun(),
});

/**
 * Whether a resource with these tags may be deleted: temporary, of this application and environment, and not created by
 * this process. The caller holds the lock of the environment, so any other process that created it has ended or lost
 * the lock.
 */
export const isLeftOver = (tags: Tags, of: Pick<Marks, 'application' | 'environment'>): boolean =>
  tags[temporaryTag] !== undefined &&
  tags[environmentTag] === of.environment &&
  tags['application'] === of.application &&
  tags[runTag] !== thisRun();

/** Tags in the form of most services. */
export const asTagList = (tags: Tags): { Key: string; Value: string }[] =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

/** Tags in the form of ECS. */
export const asEcsTags = (tags: Tags): { key: string; value: string }[] =>
  Object.entries(tags).map(([key, value]) => ({ key, value }));

interface AnyTag {
  Key?: string | undefined;
  Value?: string | undefined;
  key?: string | undefined;
  value?: string | undefined;
}

export const fromTagList = (tags: AnyTag[] | undefined): Tags =>
  Object.fromEntries((tags ?? []).map(({ Key, Value, key, value }) => [Key ?? key ?? '', Value ?? value ?? '']));

/** A short random name. */
export const shortId = (): string => randomBytes(4).toString('hex');
