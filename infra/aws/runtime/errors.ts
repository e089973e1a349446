import { OperationError, messageOf } from '../../errors.ts';

export const logInAgain = 'log in again (aws sso login), then: npm run resume';

/** Errors of AWS that a person has to do something about, by their codes: what to do. The rest says itself. */
const cures: [RegExp, string][] = [
  [/ExpiredToken|RequestExpired|TokenRefreshRequired|SSO session|SSO token|Token is expired/i, logInAgain],
  [
    /CredentialsProviderError|NoCredentials|InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch/,
    'give credentials: aws sso login, AWS_PROFILE, or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY',
  ],
  [/AccessDenied|UnauthorizedOperation|NotAuthorized|AuthorizationError/, 'give these credentials that right; docs/aws.md lists all that are needed'],
  [/Throttl|RequestLimitExceeded|SlowDown|TooManyRequests/, 'AWS asked to slow down for longer than was waited: npm run resume'],
  [/LimitExceeded|QuotaExceeded|TooMany|InsufficientDBInstanceCapacity|ResourceLimit/, 'raise that quota (Service Quotas in the console), then: npm run resume'],
  [/ENOTFOUND|EAI_AGAIN|no such host/, 'see that the region is spelt right and the network is up'],
  [/ECONNREFUSED|ETIMEDOUT|ECONNRESET|TimeoutError|NetworkingError|connection refused/, 'see that the network is up, then: npm run resume'],
]; // prettier-ignore

/** What to do about words of AWS, by whatever program they came; undefined where they say it themselves. */
export const cureOf = (text: string): string | undefined => cures.find(([pattern]) => pattern.test(text))?.[1];

/** The code that AWS gave, or the name of what was thrown. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { name, Code, code } = error as { name?: unknown; Code?: unknown; code?: unknown };
  return [Code, code, name].find((text): text is string => typeof text === 'string' && text !== 'Error') ?? '';
}

/** Whether AWS said that something is not there. */
export const isMissing = (error: unknown): boolean => /NotFound|NoSuch|ResourceNotFound|does not exist/.test(`${codeOf(error)} ${messageOf(error)}`); // prettier-ignore

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
  const code = codeOf(error);
  const text = `${code} ${messageOf(error)}`;
  const cure = cureOf(text) ?? todo;
  const found = code === '' ? messageOf(error) : `${code}: ${messageOf(error)}`;
  return new OperationError(doing, found, cure, { cause: error });
}
