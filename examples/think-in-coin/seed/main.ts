import pg from 'pg';
import { hashPassword } from '../api/passwords.ts';
import { people } from './people.ts';

/**
 * Fills a migrated database with accounts that have progress and preferences: as many as the first argument or
 * SEED_ACCOUNTS says (default 20000), the same ones for the same SEED (default 1). Knows only the columns of 1.0.0;
 * the later ones fill themselves.
 */

const url = process.env['DATABASE_URL'];
const count = Number(process.argv[2] ?? process.env['SEED_ACCOUNTS'] ?? 20_000);
const seed = Number(process.env['SEED'] ?? 1);
if (!url || !Number.isInteger(count) || count < 1 || !Number.isInteger(seed)) {
  console.error('seed: give DATABASE_URL, and whole numbers as SEED_ACCOUNTS and SEED.');
  process.exit(2);
}

const batch = 5000;
const lessons = ['budget', 'interest', 'emergency', 'inflation', 'risk', 'crypto'];
/** Where time starts for made-up data: not now, so that two runs give the same rows. */
const epoch = Date.UTC(2026, 0, 1);

/** One hash for all: nobody signs in with these accounts, and 20,000 hashes would take an hour. */
const passwordHash = await hashPassword(`seed ${seed}`, Buffer.alloc(16, seed));

const client = new pg.Client({ connectionString: url });
await client.connect();

const created = (hours: number): string => new Date(epoch + hours * 3_600_000).toISOString();

async function insertBatch(from: number, size: number): Promise<void> {
  const some = people(seed, from, size);
  const { rows } = await client.query<{ id: string }>(
    `insert into public.accounts (email, name, password_hash, created_at)
     select email, name, $3, at from unnest($1::text[], $2::text[], $4::timestamptz[]) as t(email, name, at)
     order by email returning id`,
    [some.map((p) => p.email), some.map((p) => p.name), passwordHash, some.map((p) => created(p.joinedHour))],
  );
  // Addresses are numbered with leading zeros, so the order of the addresses is that of the people.
  const ids = rows.map((row) => row.id);
  const idOf = (i: number): string => ids[i] ?? '';

  await client.query(
    `insert into public.preferences (account_id, currency, theme, reminder, updated_at)
     select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])`,
    [
      ids,
      some.map((p) => p.currency),
      some.map((p) => p.theme),
      some.map((p) => p.reminder),
      some.map((p) => created(p.joinedHour)),
    ],
  );

  const events = some.flatMap((p, i) =>
    p.tries.map((t, n) => ({
      id: idOf(i),
      lesson: lessons[t.lesson] ?? 'budget',
      score: t.score,
      key: `seed-${seed}-${from + i}-${n}`,
      at: created(t.hour),
    })),
  );
  const columns = [
    events.map((e) => e.id),
    events.map((e) => e.lesson),
    events.map((e) => e.score),
    events.map((e) => e.at),
  ];
  await client.query(
    `insert into public.progress_events (account_id, lesson_id, score, created_at, key)
     select * from unnest($1::bigint[], $2::text[], $3::int[], $4::timestamptz[], $5::text[])`,
    [...columns, events.map((e) => e.key)],
  );
  await client.query(
    `insert into public.progress (account_id, lesson_id, best_score, attempts, updated_at)
     select account_id, lesson_id, max(score), count(*), max(at)
     from unnest($1::bigint[], $2::text[], $3::int[], $4::timestamptz[]) as t(account_id, lesson_id, score, at)
     group by account_id, lesson_id`,
    columns,
  );
}

try {
  const { rows } = await client.query<{ found: boolean }>(
    'select exists (select 1 from public.accounts where email = $1) as found',
    [people(seed, 0, 1)[0]?.email],
  );
  if (rows[0]?.found) {
    console.log(`seed: the accounts of seed ${seed} are there already, nothing to do`);
  } else {
    await client.query('begin');
    for (let from = 0; from < count; from += batch) await insertBatch(from, Math.min(batch, count - from));
    await client.query('commit');
    console.log(`seed: ${count} accounts`);
  }
} finally {
  await client.end();
}
