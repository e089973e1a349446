/**
 * Hooks connect calls to AWS's control plane (moto) with the real parts of the emulated account. The gateway in front
 * of moto identifies the service, decodes each call, and runs the hooks of its action before and after moto's answer.
 */

export interface Call {
  /**
   * `rds`, `ecs`, `elasticloadbalancing`, `logs`, `monitoring`, `secretsmanager`, `sns`, `sqs`, `s3`, `ecr`, `sts`,
   * ...: the signing name.
   */
  service: string;
  /** `CreateDBInstance`; for S3 the HTTP method. */
  action: string;
  method: string;
  /** With the query string. */
  url: string;
  headers: Record<string, string>;
  body: Buffer;
  /**
   * Decoded input: the JSON body, or the form's fields as they are named (`DBInstanceIdentifier`, `Tags.member.1.Key`).
   */
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
  /** Runs before moto. An answer replaces moto's, which is then not called. */
  before?(call: Call): Promise<Answer | undefined>;
  /** Runs after moto answered with success. An answer replaces moto's. */
  after?(call: Call, answer: Answer): Promise<Answer | undefined>;
}

/** A part of the account. */
export interface Part {
  hooks: Hook[];
  close(): Promise<void>;
}
