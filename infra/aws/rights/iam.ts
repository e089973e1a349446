import * as pulumi from '@pulumi/pulumi';
import { Role } from '@pulumi/aws/iam/role.js';
import { RolePolicy } from '@pulumi/aws/iam/rolePolicy.js';
import type { Place } from '../lib/place.ts';

/** One statement of a policy document, in AWS's own words. */
export interface Statement {
  Sid?: string;
  Effect: 'Allow' | 'Deny';
  Principal?: unknown;
  Action: pulumi.Input<string> | pulumi.Input<string>[];
  /** Absent in a trust policy, which stands at its resource. */
  Resource?: pulumi.Input<string> | pulumi.Input<string>[];
  Condition?: Record<string, Record<string, pulumi.Input<string> | pulumi.Input<string>[]>>;
}

/** The document as JSON. */
export const policyDocument = (statements: Statement[]): pulumi.Output<string> =>
  pulumi.jsonStringify({ Version: '2012-10-17', Statement: statements });

/** Services whose guides say that they name the account on whose behalf they assume a role. Others would be locked out. */
const saysForWhom = [
  'codebuild.amazonaws.com',
  'ecs-tasks.amazonaws.com',
  'scheduler.amazonaws.com',
  'vpc-flow-logs.amazonaws.com',
];

/** What a role needs of its place. One of the pipeline has no boundary: it carries the rights to release. */
type RolePlace = { settings: Pick<Place['settings'], 'accountId'>; tags: Place['tags']; boundary?: string };

/**
 * A role that one AWS service may assume, where it says so on behalf of this account only ("the confused deputy problem" in
 * the IAM guide), and what it may do there: nothing, where `statements` is empty. Its ARN is known once it may.
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
          ...(saysForWhom.includes(service) ? forAccount : {}),
        },
      ]),
      permissionsBoundary: place.boundary,
      tags: place.tags,
    },
    { parent },
  );
  if (statements.length === 0) return role;
  const granted = new RolePolicy(name, { role: role.id, policy: policyDocument(statements) }, { parent: role });
  // CreateProject, say, looks at once at what the role may do.
  return { arn: pulumi.all([role.arn, granted.id]).apply(([arn]) => arn), name: role.name };
}
