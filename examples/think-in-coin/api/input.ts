import { HttpError } from '../http.ts';

/** Control characters have no place in names and messages; PostgreSQL refuses NUL outright. */
// eslint-disable-next-line no-control-regex
const control = /[\u0000-\u0008\u000b-\u001f\u007f]/;

/** A text of `min` to `max` characters, trimmed. Throws 400 that names the field. */
export function text(body: Record<string, unknown>, field: string, min: number, max: number): string {
  const value = body[field];
  if (typeof value !== 'string' || control.test(value)) throw new HttpError(400, `${field} has to be a text.`);
  const trimmed = value.trim();
  if (trimmed.length < min || trimmed.length > max)
    throw new HttpError(400, `${field} has to have ${min} to ${max} characters.`);
  return trimmed;
}

/** An address in lower case. Only its shape is checked: whether it exists, only a mail could tell. */
export function email(body: Record<string, unknown>): string {
  const value = text(body, 'email', 3, 254).toLowerCase();
  if (!/^[^\s@<>"'\\]+@[^\s@<>"'\\]+\.[a-z0-9-]+$/.test(value))
    throw new HttpError(400, 'That is not an e-mail address.');
  return value;
}

/** Not trimmed: spaces belong to a password. Lengths as in NIST SP 800-63B, with an upper bound for the hash's sake. */
export function password(body: Record<string, unknown>): string {
  const value = body['password'];
  if (typeof value !== 'string' || value.length < 10 || value.length > 200)
    throw new HttpError(400, 'The password has to have 10 to 200 characters.');
  return value;
}

export function integer(body: Record<string, unknown>, field: string, min: number, max: number): number {
  const value = body[field];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
    throw new HttpError(400, `${field} has to be a whole number from ${min} to ${max}.`);
  return value;
}

export function choice<T extends string>(body: Record<string, unknown>, field: string, choices: readonly T[]): T {
  const value = choices.find((one) => one === body[field]);
  if (value === undefined) throw new HttpError(400, `${field} has to be one of: ${choices.join(', ')}.`);
  return value;
}

/** What the client calls this write: a UUID. */
export function key(body: Record<string, unknown>): string {
  const value = body['key'];
  if (typeof value !== 'string' || !/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value))
    throw new HttpError(400, 'key has to be a UUID.');
  return value;
}

/** The checked value of a field, or null for one that was left out: that stays as it is. */
export const given = <T>(body: Record<string, unknown>, field: string, check: (field: string) => T): T | null =>
  body[field] === undefined ? null : check(field);
