import { hasCode, messageOf, OperationError, type Cure } from '../../../lib/errors.ts';

const again = 'run it again; where a release had begun: npm run resume';
const logInAgain = `log in again (aws sso login), then ${again}`;

/** The credentials were valid once: what needs them can neither go on nor be undone. */
const expired = /ExpiredToken|RequestExpired|TokenRefreshRequired|SSO session|SSO token|Token is expired/i;

/** Errors of AWS that a person has to do something about, by their codes: what to do. The rest says itself. */
const cures: [RegExp, string][] = [
  [
    /CredentialsProviderError|NoCredentials|InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|AuthFailure|SignatureDoesNotMatch/,
    'give credentials: aws sso login, AWS_PROFILE, or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY',
  ],
  [
    /NoSuchBucket/,
    'make that bucket as docs/aws.md says ("State"), or correct aws.state.bucket in the release definition',
  ],
  [
    /PermanentRedirect|AuthorizationHeaderMalformed/,
    'that bucket is in another region: correct aws.region or aws.state.bucket in the release definition',
  ],
  [
    /KMS(: (Encrypt|Decrypt|GenerateDataKey)\b.*|\.)(NotFound|Disabled|InvalidState|KMSInvalidState)/,
    'make the key of the state, or enable it, as docs/aws.md says ("State"), or correct aws.state.key in the release definition',
  ],
  [
    /AccessDenied|UnauthorizedOperation|NotAuthorized|AuthorizationError/,
    'give these credentials that right; docs/aws.md lists all that are needed',
  ],
  [
    /AllowMajorVersionUpgrade/,
    'put the major version in aws.database.version back: another one is not a release; docs/aws.md says how ("Another class or version of PostgreSQL")',
  ],
  [/policy\/greenlight-boundary/, 'make that policy as docs/aws.md says ("Rights")'],
  [
    /Throttl|RequestLimitExceeded|SlowDown|TooManyRequests/,
    `AWS asked to slow down for longer than was waited: ${again}`,
  ],
  [
    /LimitExceeded|QuotaExceeded|TooMany|InsufficientDBInstanceCapacity|ResourceLimit/,
    `raise that quota (Service Quotas in the console), then ${again}`,
  ],
  [/ENOTFOUND|EAI_AGAIN|no such host/, 'see that the region is spelt right and the network is up'],
  [
    /ECONNREFUSED|ETIMEDOUT|ECONNRESET|TimeoutError|NetworkingError|connection refused/,
    `see that the network is up, then ${again}`,
  ],
];

/** What to do about an error message of AWS, whichever program passed it on; undefined where the message says it. */
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

/** Whether an error, or what caused it, says that the credentials have expired. */
export const hasExpired = (error: unknown): boolean =>
  error instanceof Error && (hasCode(error, 'credentials-expired') || hasExpired(error.cause));

/** What was thrown below the OperationErrors that say what was being done. */
export const causeOf = (error: unknown): unknown =>
  error instanceof OperationError && error.cause !== undefined ? causeOf(error.cause) : error;

/** The code that AWS gave, or the name of what was thrown; also through OperationErrors. */
export function codeOf(error: unknown): string {
  const cause = causeOf(error);
  if (typeof cause !== 'object' || cause === null) return '';
  const { name, Code, code } = cause as { name?: unknown; Code?: unknown; code?: unknown };
  return [Code, code, name].find((text): text is string => typeof text === 'string' && text !== 'Error') ?? '';
}

/** What holds the thing that was asked for. Where the holder is missing, nothing is known about the thing itself. */
const isContainer = (code: string): boolean => code === 'NoSuchBucket' || code.startsWith('KMS.');

/** Whether AWS said that something does not exist. */
export function isMissing(error: unknown): boolean {
  const code = codeOf(error);
  return !isContainer(code) && /NotFound|NoSuch|DoesNotExist|NonExistent/.test(code);
}

/**
 * Whether the SDK could not read an answer, such as a proxy's page: it keeps the answer in `$response`, and gives the error
 * neither a fault nor the code of a network error.
 */
const isNoAnswer = (error: unknown): boolean => error instanceof Error && '$response' in error && !('$fault' in error);
const noAnswer = 'see that no proxy answers in the place of AWS, and that region and AWS_ENDPOINT_URL are right';

/** Runs a call, and says of its failure what was being done, what AWS answered and what to do. */
export async function calling<T>(doing: string, call: () => Promise<T>, todo = 'see the message of AWS'): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw asOperationError(doing, error, todo);
  }
}

export function asOperationError(doing: string, error: unknown, todo = 'see the message of AWS'): OperationError {
  if (error instanceof OperationError) return error;
  if (isNoAnswer(error)) return new OperationError(doing, 'what answered is not AWS', noAnswer, { cause: error });
  const code = codeOf(error);
  const text = `${code} ${messageOf(error)}`;
  const cure = cureOf(text) ?? { todo };
  const found = code === '' ? messageOf(error) : `${code}: ${messageOf(error)}`;
  return new OperationError(doing, found, cure.todo, { cause: error, ...(cure.code && { code: cure.code }) });
}
