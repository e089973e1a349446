import { currencies, themes, type ApiEdition } from '../../api/edition.ts';
import { choice, given, integer } from '../../api/input.ts';
import { hasFault } from '../../faults.ts';

/**
 * Points, streaks, and a learning goal instead of a reminder. Never names `preferences.reminder`: until the contract
 * migration drops it, a trigger keeps it in step with the goal.
 */
export const edition: ApiEdition = {
  async progressDetails(db, accountId) {
    const { rows } = await db.query<{ points: number; days: number; longest: number }>(
      `select coalesce((select sum(points) from public.progress where account_id = $1), 0)::int as points,
              coalesce(s.days, 0) as days, coalesce(s.longest, 0) as longest
       from (select 1) one left join (
         select longest, case when last_day >= (now() at time zone 'UTC')::date - 1 then days else 0 end as days
         from public.streaks where account_id = $1) s on true`,
      [accountId],
    );
    const { points = 0, days = 0, longest = 0 } = rows[0] ?? {};
    return { points, streak: { days, longest } };
  },

  async readPreferences(db, accountId) {
    const { rows } = await db.query<Record<string, unknown>>(
      'select currency, theme, goal_days as "goalDays" from public.preferences where account_id = $1',
      [accountId],
    );
    return rows[0] ?? {};
  },

  async savePreferences(db, accountId, body) {
    const values = [
      accountId,
      given(body, 'currency', (name) => choice(body, name, currencies)),
      given(body, 'theme', (name) => choice(body, name, themes)),
      given(body, 'goalDays', (name) => integer(body, name, 0, 7)),
    ];
    if (hasFault('acceptance-fails')) return;
    await db.query(
      `update public.preferences set currency = coalesce($2, currency), theme = coalesce($3, theme),
         goal_days = coalesce($4, goal_days), updated_at = now()
       where account_id = $1`,
      values,
    );
  },
};
