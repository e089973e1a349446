import { z } from 'zod';
import * as rule from './rules.ts';
import { columnName, name, seconds, tableName } from './scalars.ts';

const table = tableName.meta({
  description: 'table; with its schema where several have one of this name',
  examples: ['users', 'crm.users'],
});

const maskRule = z.strictObject({
  table,
  column: columnName.meta({ description: 'column with personal data', examples: ['email'] }),
  path: z
    .string()
    .regex(/^[^.]+(\.[^.]+)*$/, 'write keys joined by dots, such as contact.email')
    .optional()
    .meta({
      description: 'where in a json column: keys joined by dots, * for any key; leave it out for every text in it',
      examples: ['contact.email'],
    }),
  with: z.enum(['email', 'name', 'text', 'hash', 'digits', 'card', 'iban', 'ip', 'date', 'null']).meta({
    description:
      'email, name, ip: plausible, and nobody has it; digits, card, iban: other digits in the same layout; date: up to a year earlier; text: as long; hash: for tokens and identifiers; null: removed',
    examples: ['email'],
  }),
});

const harmless = z.strictObject({
  table,
  column: columnName.meta({ description: 'column that looks personal and is not', examples: ['display_name'] }),
  reason: z
    .string()
    .min(10, 'say why in at least ten characters')
    .meta({ description: 'why it may leave production as it is', examples: ['names of products'] }),
});

const invariant = z.strictObject({
  name: name.meta({ description: 'unique name', examples: ['orders-have-users'] }),
  sql: z
    .string()
    .min(1)
    .meta({
      description: 'returns rows where the invariant is broken; none is good',
      examples: ['SELECT o.id FROM orders o LEFT JOIN users u ON u.id = o.user_id WHERE u.id IS NULL'],
    }),
});

export const data = z
  .strictObject({
    invariants: z
      .array(invariant)
      .superRefine(rule.uniqueNames, rule.evenIfBroken)
      .default([])
      .describe('conditions that must always hold in the data'),
    personal: z
      .array(maskRule)
      .superRefine(rule.uniqueMasks, rule.evenIfBroken)
      .default([])
      .describe('columns with personal data, and how they are masked outside production'),
    harmless: z
      .array(harmless)
      .superRefine(rule.uniqueMasks, rule.evenIfBroken)
      .default([])
      .describe('columns that look personal and are not; any other that looks so has to be in personal'),
    ledger: z
      .strictObject({
        sql: z
          .string()
          .includes('$1', 'use $1, the acknowledged keys')
          .meta({
            description: 'gets the acknowledged keys as $1 (text[]); returns (key text, copies int) for those found',
            examples: ['SELECT key, count(*)::int AS copies FROM writes WHERE key = ANY($1) GROUP BY key'],
          }),
        counters: z
          .string()
          .includes('$1', 'use $1, the names of the counters')
          .optional()
          .meta({
            description:
              'gets the names of the counters that acknowledged writes incremented as $1 (text[]); returns (counter text, value bigint) for those found',
            examples: ['SELECT name AS counter, value FROM counters WHERE name = ANY($1)'],
          }),
      })
      .optional()
      .meta({ description: 'how the writes of the synthetic traffic are looked up in the database', active: true }),
    maxLagSeconds: z.number().min(0).max(3600).default(5).describe('replication lag up to which a cutover may begin'),
    limits: z
      .strictObject({
        restoreSeconds: seconds(900, 604_800).describe(
          'longest acceptable restore of a backup, until it answers (RTO)',
        ),
        backupAgeSeconds: seconds(300, 604_800).describe(
          'highest acceptable age of a backup when it is complete (RPO)',
        ),
        copySeconds: seconds(3600, 604_800).describe(
          'longest copy of all data, until the inactive colour has caught up; the same for the copy to staging, and for making a lost database of the old colour anew',
        ),
        invariantSeconds: seconds(60).describe('longest duration of one invariant'),
      })
      .prefault({})
      .describe('raise them for a large database: what takes longer ends the release'),
    backupRetention: z.number().int().min(1).max(365).default(7).describe('backups kept'),
  })
  .prefault({})
  .describe('properties of the data');
