import { currencies, themes, type ApiEdition } from '../../api/edition.ts';
import { choice } from '../../api/input.ts';

export const edition: ApiEdition = {
  progressDetails: () => Promise.resolve({}),

  async readPreferences(db, accountId) {
    const { rows } = await db.query<Record<string, unknown>>(
      'select currency, theme, reminder from public.preferences where account_id = $1',
      [accountId],
    );
    return rows[0] ?? {};
  },

  async savePreferences(db, accountId, body) {
    await db.query(
      `insert into public.preferences (account_id, currency, theme, reminder) values ($1, $2, $3, $4)
       on conflict (account_id) do update
       set currency = excluded.currency, theme = excluded.theme, reminder = excluded.reminder, updated_at = now()`,
      [
        accountId,
        choice(body, 'currency', currencies),
        choice(body, 'theme', themes),
        choice(body, 'reminder', ['none', 'weekly', 'daily']),
      ],
    );
  },
};
