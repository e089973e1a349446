import { greenlight } from '../../../lib/command.ts';
import { hasCode, messageOf, OperationError, type Cure } from '../../../lib/errors.ts';

const again = `run it again; if a release had begun: ${greenlight('resume')}`;
const logInAgain = `log in again (aws sso login), then ${again}`;

/** Credentials that were valid and have expired: a release can then neither continue nor be undone. */
const expired = /ExpiredToken|RequestExpired|TokenRefreshRequired|SSO session|SSO token|Token is expired/i;

/** What to do about an error of AWS, by its code or message. */
const cures: [RegExp, string][] = [
  [
    /CredentialsProviderError|NoCredentials|InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|AuthFailure|SignatureDoesNotMatch/,
    'give credentials: aws sso login, AWS_PROFILE, or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY',
  ],
  [
    /NoSuchBucket/,
    'create that bucket as docs/aws.md says ("State"), or correct aws.state.bucket in the release definition',
  ],
  [
    /PermanentRedirect|AuthorizationHeaderMalformed/,
    'that bucket is in another region: correct aws.region or aws.state.bucket in the release definition',
  ],
  [
    /KMS(: (Encrypt|Decrypt|GenerateDataKey)\b.*|\.)(NotFound|Disabled|InvalidState|KMSInvalidState)/,
    'create the key of the state, or enable it, as docs/aws.md says ("State"), or correct aws.state.key in the release definition',
  ],
  [
    /AccessDenied|UnauthorizedOperation|NotAuthorized|AuthorizationError/,
    'grant that right to these credentials; docs/aws.md lists all rights that are needed',
  ],
  [
    /AllowMajorVersionUpgrade/,
    'change the major version in aws.database.version back: a release cannot change it; docs/aws.md says how to ("Another class or version of PostgreSQL")',
  ],
  [/policy\/greenlight-boundary/, 'create that policy as docs/aws.md says ("Rights")'],
  [
    /Throttl|RequestLimitExceeded|SlowDown|TooManyRequests/,
    `AWS throttled the calls for too long: wait a few minutes, then ${again}`,
  ],
  [
    /LimitExceeded|QuotaExceeded|TooMany|InsufficientDBInstanceCapacity|ResourceLimit/,
    `raise that quota (Service Quotas in the console), then ${again}`,
  ],
  [/ENOTFOUND|EAI_AGAIN|no such host/, 'check that the region is spelt right and the network is up'],
  [
    /ECONNREFUSED|ETIMEDOUT|ECONNRESET|TimeoutError|NetworkingError|connection refused/,
    `check that the network is up, then ${again}`,
  ],
];

/**
 * What to do about an error message of AWS, whichever program reports it. Undefined if there is no advice beyond the
 * message.
 */
export function cureOf(text: string): Cure | undefined {
  if (expired.test(text)) return { todo: logInAgain, code: 'credentials-expired' };
  const profile = process.env['AWS_PROFILE'];
  if (profile !== undefined && /CredentialsProviderError|NoCredentials/.test(text))
    return {
      todo: `the profile "${profile}" gives no credentials: aws configure list-profiles, or aws sso login --profile ${profile}`,
    };
  const todo = cures.find(([pattern]) => pattern.test(text))?.[1];
  return todo === undefined ? undefined : { todo };
}

/** Whether an error or one of its causes says that the credentials have expired. */
export const hasExpired = (error: unknown): boolean =>
  error instanceof Error && (hasCode(error, 'credentials-expired') || hasExpired(error.cause));

/** The innermost cause: what was thrown before OperationErrors were wrapped around it. */
export const causeOf = (error: unknown): unknown =>
  error instanceof OperationError && error.cause !== undefined ? causeOf(error.cause) : error;

/**
 * AWS's error code, or the name of the thrown error. Looks through OperationErrors; an empty text if there is neither.
 */
export function codeOf(error: unknown): string {
  const cause = causeOf(error);
  if (typeof cause !== 'object' || cause === null) return '';
  const { name, Code, code } = cause as { name?: unknown; Code?: unknown; code?: unknown };
  return [Code, code, name].find((text): text is string => typeof text === 'string' && text !== 'Error') ?? '';
}

/** A missing container (bucket, key) says nothing about whether the requested object exists. */
const isContainer = (code: string): boolean => code === 'NoSuchBucket' || code.startsWith('KMS.');

/** Whether AWS reported that the requested object does not exist. */
export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return !isContainer(code) && /NotFound|NoSuch|DoesNotExist|NonExistent/.test(code);
}

/**
 * Whether the SDK could not parse the answer, for example a proxy's error page. Then the error has `$response`, but
 * neither `$fault` nor the code of a network error.
 */
const isUnreadable = (error: unknown): boolean =>
  error instanceof Error && '$response' in error && !('$fault' in error);
const noAnswer = 'check that no proxy answers instead of AWS, and that region and AWS_ENDPOINT_URL are right';

/** Runs a call. Rejects with an OperationError that says what was being done, what AWS answered and what to do. */
export async function calling<T>(doing: string, call: () => Promise<T>, todo = 'see the message from AWS'): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw asOperationError(doing, error, todo);
  }
}

export function asOperationError(doing: string, error: unknown, todo = 'see the message from AWS'): OperationError {
  if (error instanceof OperationError) return error;
  if (isUnreadable(error)) return new OperationError(doing, 'the answer is not from AWS', noAnswer, { cause: error });
  const code = codeOf(error);
  const text = `${code} ${messageOf(error)}`;
  const cure = cureOf(text) ?? { todo };
  const found = code === '' ? messageOf(error) : `${code}: ${messageOf(error)}`;
  return new OperationError(doing, found, cure.todo, { cause: error, ...(cure.code && { code: cure.code }) });
}
