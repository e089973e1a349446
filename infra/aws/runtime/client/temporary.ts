import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { EnvironmentName } from '../../../model.ts';
import { home } from '../../../lib/paths.ts';

/**
 * What a run makes for itself in the account says in its tags whose it is and until when it may be needed. It is deleted
 * after use; what a program left that was killed is found by these tags, and swept. Nothing without them is ever touched.
 */

/** Its value is the purpose. */
export const temporaryTag = 'greenlight-temporary';
/** ISO 8601. After this time nobody needs the resource; for people who find it. */
export const expiresTag = 'greenlight-expires';
/** Who made it: the machine, and the process there. */
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

/** Random and the same for all commands that share `.greenlight`: names of hosts are not unique among CI's containers. */
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

/** What AWS takes in a tag. */
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
 * Whether a thing with these tags is ours to delete: temporary, of this application and environment, and not made by this program. Who
 * asks has the lock of the environment: whatever else has made it there is gone, or has lost the lock.
 */
export const isLeftOver = (tags: Tags, of: Pick<Marks, 'application' | 'environment'>): boolean =>
  tags[temporaryTag] !== undefined &&
  tags[environmentTag] === of.environment &&
  tags['application'] === of.application &&
  tags[runTag] !== thisRun();

/** Tags as services write them, in upper case: most of them. */
export const asTagList = (tags: Tags): { Key: string; Value: string }[] =>
  Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));

/** And in lower case: ECS. */
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
