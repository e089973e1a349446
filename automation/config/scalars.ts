import { z } from 'zod';
import { completeMessage } from './rules.ts';

/**
 * The scalar types of a release definition. They refuse values that would be unsafe in a path, a balancer rule or a
 * command.
 */

/**
 * Names are used in file names, database names and balancer rules, so only characters that are safe in all of them are
 * allowed.
 */
export const name = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,30}$/, 'use 1 to 31 lower-case letters, digits and hyphens, starting with a letter');

export const semanticVersion = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/;
export const version = z.string().regex(semanticVersion, 'write a semantic version such as 2.0.0');

/** A token of HTTP. Methods are compared with regard to case. */
export const httpMethod = z
  .string()
  .regex(/^[\w!#$%&'*+.^`|~-]{1,40}$/, 'give an HTTP method, such as PROPFIND')
  .refine((method) => !/^(get|head|options|trace)$/.test(method), 'methods are written in capital letters');

/** A program and its arguments, run without a shell: quotes, `;` and `$` have no special meaning. */
export const argv = z.array(z.string().min(1)).min(1);

export const relativePath = z
  .string()
  .min(1)
  .refine(
    (path) => !path.startsWith('/') && !path.split(/[/\\]/).includes('..') && !path.includes('\0'),
    'give a path inside the project, without ".."',
  );

/** A folder inside the project; `.` is the project's root. */
export const folderPath = relativePath;

const absolutePath = /^\/[^\s;"'{}\\]*$/;
export const urlPath = z
  .string()
  .regex(absolutePath, {
    error: ({ input }) =>
      `give an absolute URL path such as ${absolutePath.test(`/${String(input)}`) ? `/${String(input)}` : '/healthz'}`,
  })
  .refine((path) => !path.split('/').includes('..'), 'give a URL path without ".."');

export const environmentVariable = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'use letters, digits and underscores, not a digit first, such as PAYMENT_URL');

export const webUrl = z.url({ protocol: /^https?$/, error: 'give a URL that starts with http:// or https://' });

export const seconds = (fallback: number, max = 86_400) => z.number().int().min(0).max(max).default(fallback);

/** A share from 0 to 1: 0.001 is 0.1 %. */
export const share = z.number().min(0).max(1);

const sqlName = String.raw`[\p{L}_][\p{L}\p{N}_$ -]*`;
/** As the catalog has it: `Users` is another table than `users`. */
export const columnName = z
  .string()
  .regex(new RegExp(`^${sqlName}$`, 'u'), 'give the name of a column, without quotes');
export const tableName = z
  .string()
  .regex(new RegExp(`^(${sqlName}\\.)?${sqlName}$`, 'u'), 'give the name of a table, such as users or crm.users');

export const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'write a time such as 22:00');

export const timeZone = z.string().refine((zone) => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}, 'give an IANA time zone such as Europe/Berlin');

/** Last day, UTC, on which a waiver or an accepted risk is valid. A past day is an error. */
export const expiry = z.iso
  .date({ error: 'write a date such as 2031-12-31' })
  .refine((date) => date >= new Date().toISOString().slice(0, 10), {
    error: (issue) => `expired on ${String(issue.input)}: decide on a new date, or remove it`,
    params: completeMessage,
  });

/** Of the characters that RFC 6265 allows those that no balancer reads as its own. */
export const cookieName = z
  .string()
  .regex(/^[A-Za-z0-9_.-]+$/, 'write the name of a cookie: letters, digits, "_", "." and "-"');
