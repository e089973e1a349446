import { GetBucketVersioningCommand, GetPublicAccessBlockCommand } from '@aws-sdk/client-s3';
import { checking, type Account } from './checks.ts';
import { codeOf } from './errors.ts';

const byHand = 'docs/aws.md says how to make it';

/** The bucket of the state, which no stack makes. Of this account: a name that is free can be taken by a stranger. */
export async function checkStateBucket({ clients: { objects }, settings }: Account): Promise<string[]> {
  const { bucket } = settings.state;
  const of = { Bucket: bucket, ExpectedBucketOwner: settings.accountId };
  const doing = `looking at the bucket ${bucket} of the state`;

  return checking(doing, `see that it is a bucket of this account in ${settings.region}`, async () => {
    let versioning: string | undefined;
    try {
      versioning = (await objects.send(new GetBucketVersioningCommand(of))).Status;
    } catch (error) {
      if (codeOf(error) === 'NoSuchBucket') return [`the bucket ${bucket} of the state is not there: ${byHand}`];
      if (/^(PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|301)$/.test(codeOf(error)))
        return [`the bucket ${bucket} of the state is in another region than ${settings.region}: ${byHand}`];
      if (codeOf(error) === 'AccessDenied')
        return [
          `these credentials may not look at the bucket ${bucket} of the state, or it belongs to another account: ` +
            'docs/aws.md lists the rights that are needed',
        ];
      throw error;
    }
    const problems: string[] = [];
    if (versioning !== 'Enabled')
      problems.push(
        `the bucket ${bucket} of the state keeps no versions, so what is overwritten is lost: switch them on (aws s3api put-bucket-versioning --bucket ${bucket} --versioning-configuration Status=Enabled)`,
      );
    if (!(await blocksPublicAccess()))
      problems.push(
        `the bucket ${bucket} of the state could be made public: block all public access (aws s3api put-public-access-block; ${byHand})`,
      );
    return problems;
  });

  async function blocksPublicAccess(): Promise<boolean> {
    try {
      const { PublicAccessBlockConfiguration: blocks } = await objects.send(new GetPublicAccessBlockCommand(of));
      const { BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets } = blocks ?? {};
      return [BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets].every((on) => on === true);
    } catch (error) {
      if (codeOf(error) === 'NoSuchPublicAccessBlockConfiguration') return false;
      throw error;
    }
  }
} // prettier-ignore
