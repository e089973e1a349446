import * as pulumi from '@pulumi/pulumi';
import { Role } from '@pulumi/aws/iam/role.js';
import { RolePolicy } from '@pulumi/aws/iam/rolePolicy.js';
import type { Place } from '../lib/place.ts';

/** One statement of an IAM policy document. */
export interface Statement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Principal?: unknown;
  Action: pulumi.Input<string> | pulumi.Input<string>[];
  /** Absent in a trust policy: that applies to its role. */
  Resource?: pulumi.Input<string> | pulumi.Input<string>[];
  Condition?: Record<string, Record<string, pulumi.Input<string> | pulumi.Input<string>[]>>;
}

/** The document as JSON. */
export const policyDocument = (statements: Statement[]): pulumi.Output<string> =>
  pulumi.jsonStringify({ Version: '2012-10-17', Statement: statements });

/**
 * Services that, according to their guides, send `aws:SourceAccount` when they assume a role. The condition would lock
 * others out.
 */
const sendsSourceAccount = [
  'codebuild.amazonaws.com',
  'ecs-tasks.amazonaws.com',
  'scheduler.amazonaws.com',
  'vpc-flow-logs.amazonaws.com',
];

/** The pipeline's roles have no boundary, because they carry the rights to release. */
type RolePlace = { settings: Pick<Place['settings'], 'accountId'>; tags: Place['tags']; boundary?: string };

/**
 * A role that one AWS service may assume, with the rights in `statements` (may be empty). If the service sends its
 * account, it may do so only on behalf of this one ("the confused deputy problem" in the IAM guide). `arn` resolves
 * once the rights are granted.
 */
export function serviceRole(
  name: string,
  { place, service, statements }: { place: RolePlace; service: string; statements: Statement[] },
  parent: pulumi.Resource,
): { arn: pulumi.Output<string>; name: pulumi.Output<string> } {
  const forAccount = { Condition: { StringEquals: { 'aws:SourceAccount': place.settings.accountId } } };
  const role = new Role(
    name,
    {
      assumeRolePolicy: policyDocument([
        {
          Effect: 'Allow',
          Principal: { Service: service },
          Action: 'sts:AssumeRole',
          ...(sendsSourceAccount.includes(service) ? forAccount : {}),
        },
      ]),
      permissionsBoundary: place.boundary,
      tags: place.tags,
    },
    { parent },
  );
  if (statements.length === 0) return role;
  const granted = new RolePolicy(name, { role: role.id, policy: policyDocument(statements) }, { parent: role });
  // Some calls, such as CodeBuild's CreateProject, check the role's rights at once.
  return { arn: pulumi.all([role.arn, granted.id]).apply(([arn]) => arn), name: role.name };
}
