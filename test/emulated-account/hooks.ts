/**
 * How parts of the emulated account couple what AWS's control plane was asked for (moto) with what really runs here.
 * The gateway in front of moto tells services apart, decodes each call, and runs the hooks of its action around moto's answer.
 */

export interface Call {
  /** `rds`, `ecs`, `elasticloadbalancing`, `logs`, `monitoring`, `secretsmanager`, `sns`, `sqs`, `s3`, `ecr`, `sts`, ...: the signing name. */
  service: string;
  /** `CreateDBInstance`; for S3 the HTTP method. */
  action: string;
  method: string;
  /** With the query string. */
  url: string;
  headers: Record<string, string>;
  body: Buffer;
  /** Decoded input: the JSON body, or the form's fields as they are named (`DBInstanceIdentifier`, `Tags.member.1.Key`). */
  input: Record<string, unknown>;
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

export interface Hook {
  service: string;
  /** Names of actions. */
  actions: string[];
  /** Before moto is asked; an answer takes moto's place. */
  before?(call: Call): Promise<Answer | undefined>;
  /** After moto answered with success; an answer takes the place of moto's. */
  after?(call: Call, answer: Answer): Promise<Answer | undefined>;
}

/** A part of the account: its hooks, and its end. */
export interface Part {
  hooks: Hook[];
  close(): Promise<void>;
}
