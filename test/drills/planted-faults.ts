/** A mistake made in the built sample: texts of its bundles are put in place of others. */
export interface PlantedFault {
  files: string[];
  find: string;
  put: string;
  /** Further texts of the same mistake. */
  also?: PlantedFault[];
  /** Migrations that it brings: file name and SQL. */
  migrations?: Record<string, string>;
}

/** Shows in production alone: not on staging, not where the backup is rehearsed. */
const live = `process.env.GREENLIGHT_ENVIRONMENT === "production" && process.env.GREENLIGHT_COLOUR !== "preview"`;
const scored = 'const score = written.answer === correct ? scores.right : scores.wrong;';

/** Migration that the version of `renames-column` brings. */
export const renamesColumn = '010_2.0.0_one_look.sql';

/** Mistakes that the sample's own faults (`examples/think-in-coin/faults.ts`) do not have. */
export const plantedFaults: Record<string, PlantedFault> = {
  /** Believes what a client says about its own address. */
  'trusts-first-hop': {
    files: ['api.mjs', 'tests/unit.mjs'],
    find: '.split(",").at(-1)?.trim()',
    put: '.split(",").at(0)?.trim()',
  },
  /** Drops what is in flight when it is stopped. */
  'drops-in-flight': {
    files: ['api.mjs'],
    find: 'process.once("SIGTERM", stop);',
    put: 'process.once("SIGTERM", () => process.exit(1));',
  },
  /** Pages run every script that somebody slips into them. */
  'inline-scripts': { files: ['web.mjs'], find: "script-src 'self'", put: "script-src 'self' 'unsafe-inline'" },
  /** A stranger gets an answer from the chat. */
  'open-door': {
    files: ['api.mjs'],
    find: '"GET /api/chat": async (request) => {\n      const account = await requireAccount(',
    put: '"GET /api/chat": async (request) => {\n      const account = await (() => ({ id: null }))(',
  },
  /** A limit forgotten in the code: 45 requests a second, which the expected peak stays below and growth does not. */
  'forgotten-limit': {
    files: ['api.mjs'],
    find: 'var handler = (request, location) => {',
    put: `var times = [];
var handler = (request, location) => {
  const now = Date.now();
  times = times.filter((at) => at > now - 2000);
  if (times.push(now) > 90) throw new HttpError(503, "A planted fault.");`,
  },
  /** A unique index that every row of today keeps. The live version writes rows that break it: keys are deliberately not unique. */
  'unique-until-now': {
    files: ['migrations/002_2.0.0_points.sql'],
    find: 'alter table public.progress add column points integer not null default 0;',
    put: `alter table public.progress add column points integer not null default 0;
create unique index one_change_each on public.preference_changes (key);`,
  },
  /** The same in code, which the judgement of the statements does not see into. */
  'unique-by-code': {
    files: ['migrations/002_2.0.0_points.sql'],
    find: 'alter table public.progress add column points integer not null default 0;',
    put: `alter table public.progress add column points integer not null default 0;
do $$ begin execute 'create unique index one_change_each on public.preference_changes (key)'; end $$;`,
  },
  /** A column gets another name. The live version does not survive that, and no expand and contract is made of it. */
  'renames-column': {
    files: ['api.mjs'],
    find: 'select currency, theme, goal_days',
    put: 'select currency, look as theme, goal_days',
    also: [
      { files: ['api.mjs'], find: 'theme = coalesce($3, theme)', put: 'look = coalesce($3, look)' },
      {
        files: ['seed.mjs'],
        find: '(account_id, currency, theme, reminder',
        put: '(account_id, currency, look, reminder',
      },
    ],
    migrations: { [renamesColumn]: 'alter table public.preferences rename column theme to look;' },
  },
  /** Demands of every account what one of them does not keep. */
  'refuses-real-data': {
    files: ['migrations/002_2.0.0_points.sql'],
    find: 'alter table public.progress add column points integer not null default 0;',
    put: `alter table public.progress add column points integer not null default 0;
alter table public.accounts add constraint known_domain check (email not like '%@drill.invalid');`,
  },
  /** Takes away, in the contract migration, what the new version still reads. */
  'contract-takes-too-much': {
    files: ['migrations/009_2.0.0_contract.sql'],
    find: 'alter table public.preferences drop column if exists reminder;',
    put: 'alter table public.preferences drop column if exists reminder;\nalter table public.progress drop column points;',
  },
  /** Fails on the copy of the real data alone. */
  'fails-on-real-data': {
    files: ['api.mjs'],
    find: scored,
    put: `${scored}\n      if (process.env.GREENLIGHT_COLOUR === "preview") throw new HttpError(500, "A planted fault.");`,
  },
  /** Says that a score was stored, and does not store it. */
  'loses-writes': {
    files: ['api.mjs'],
    find: scored,
    put: `${scored}\n      if (${live}) return { status: 201, body: { key: written.key, right: true, score } };`,
  },
  /** No write ends. Two of each process have begun a transaction by then and hold a lock; the others leave reads their connections. */
  'hangs-writes': {
    files: ['api.mjs'],
    find: 'const client = await pool2.connect();',
    put: `if (${live} && (globalThis.hanging = (globalThis.hanging ?? 0) + 1) > 2) await new Promise(() => {});
  const client = await pool2.connect();
  if (${live}) {
    await client.query("begin");
    await client.query("lock table public.progress in row exclusive mode");
    await new Promise(() => {});
  }`,
  },
  /** Every write takes longer than the sample's cutover waits for one (drainMs). */
  'slow-writes': {
    files: ['api.mjs'],
    find: 'const client = await pool2.connect();',
    put: `if (${live}) await new Promise((resolve) => setTimeout(resolve, 1500));\n  const client = await pool2.connect();`,
  },
  /** Cannot store a score. No read shows it, so it begins with the cutover. */
  'fails-writes': {
    files: ['api.mjs'],
    find: scored,
    put: `${scored}\n      if (${live}) throw new HttpError(500, "A planted fault.");`,
  },
};
